"""Those who look at the teacher while it learns, every ``runtime.probe_every_steps`` steps, on rank 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from raydino.data.batches import Batch
from raydino.nn.vit import VisionTransformer
from raydino.train.probe import KnnProbe


class Observer(Protocol):
    """What a run asks of an observer."""

    def measure(self, step: int, teacher: VisionTransformer, batch: Batch | None) -> dict[str, float]:
        """Metrics of ``step``; ``batch`` is the rank's share of the newest batch."""


@dataclass(frozen=True)
class KnnObserver:
    """The k-NN probe as an observer."""

    probe: KnnProbe
    mean: float
    std: float

    def measure(self, step: int, teacher: VisionTransformer, batch: Batch | None) -> dict[str, float]:
        return self.probe.measure(teacher, self.mean, self.std)
