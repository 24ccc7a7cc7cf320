"""How fast a run goes: seconds a step, images a second, the share of time spent waiting for data, memory."""

from __future__ import annotations

import time

import torch


class Pace:
    """Measures from one step to the next; ``images_per_step`` are those of all ranks."""

    def __init__(self, images_per_step: int, device: torch.device) -> None:
        self._images_per_step = images_per_step
        self._device = device

    def measure(self, started: float, waited: float) -> dict[str, float]:
        """Of a step that began at ``started`` (``time.perf_counter``) with ``waited`` seconds for its batch.

        On a GPU also ``peak_memory_gib``: the most its tensors took at once since the run began.
        """
        seconds = time.perf_counter() - started
        metrics = {
            "seconds_per_step": seconds,
            "images_per_second": self._images_per_step / seconds,
            "data_wait_share": waited / seconds,
        }
        if self._device.type == "cuda":
            metrics["peak_memory_gib"] = torch.cuda.max_memory_allocated(self._device) / 2**30
        return metrics
