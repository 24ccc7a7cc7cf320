"""TensorBoard: event files under ``tensorboard/`` of the run (``tensorboard --logdir RUN/tensorboard``)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
from torch.utils.tensorboard import SummaryWriter


class TensorBoardTracker:
    """Scalars and pictures; a resumed run hides what comes after its checkpoint."""

    def __init__(self, directory: Path, *, resume_step: int = 0) -> None:
        self._writer = SummaryWriter(str(directory / "tensorboard"), purge_step=resume_step + 1)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)

    def picture(self, step: int, path: Path) -> None:
        pixels = cv2.imread(str(path))
        if pixels is not None:
            self._writer.add_image(path.stem, cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), step, dataformats="HWC")

    def close(self) -> None:
        self._writer.close()
