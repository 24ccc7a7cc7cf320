"""PatientOrientation (PS3.3 C.7.6.1.1.1) → the turn that brings a film to the standard display.

Standard display: the head is up; on a frontal film the patient's left is at the reader's right, so
PatientOrientation would be ``L\\F``. A lateral film keeps its facing, since both are in use. What
the header doesn't say, or says obliquely, is left as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Array = TypeVar("Array", bound=npt.NDArray[Any])


@dataclass(frozen=True)
class Turn:
    """Transpose first, then mirror: enough for every right-angled orientation."""

    transposed: bool = False
    flipped_up_down: bool = False
    flipped_left_right: bool = False

    def apply(self, image: Array) -> Array:
        """The turned image, contiguous."""
        turned: Any = image.T if self.transposed else image
        if self.flipped_up_down:
            turned = turned[::-1]
        if self.flipped_left_right:
            turned = turned[:, ::-1]
        return np.ascontiguousarray(turned)  # type: ignore[return-value]

    def undo(self, image: Array) -> Array:
        """The image that ``apply`` turned into ``image``, contiguous."""
        lying: Any = image[:, ::-1] if self.flipped_left_right else image
        if self.flipped_up_down:
            lying = lying[::-1]
        return np.ascontiguousarray(lying.T if self.transposed else lying)  # type: ignore[return-value]

    def describe(self) -> str | None:
        """For the manifest: ``turned to the standard display: transposed, …``, None for no turn."""
        named = {
            "transposed": self.transposed,
            "flipped up-down": self.flipped_up_down,
            "flipped left-right": self.flipped_left_right,
        }
        done = [name for name, is_done in named.items() if is_done]
        return f"turned to the standard display: {', '.join(done)}" if done else None


def turn_to_standard(orientation: Sequence[str]) -> Turn:
    """The turn for a PatientOrientation ``(direction of the rows, direction of the columns)``.

    Compound values (``LF``) count by their first letter, which is the dominant direction.
    """
    first = [value[:1].upper() for value in orientation]
    if len(first) != 2:
        return Turn()
    along_rows, along_cols = first
    transposed = along_rows in ("H", "F") and along_cols in ("L", "R", "A", "P")
    if transposed:
        along_rows, along_cols = along_cols, along_rows
    if along_cols not in ("H", "F") or along_rows not in ("L", "R", "A", "P"):
        return Turn()
    return Turn(transposed, flipped_up_down=along_cols == "H", flipped_left_right=along_rows == "R")
