"""The peak of this process's anonymous memory (RssAnon) while something runs: pages of mapped files do not count."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path


def growth_mib(work: Callable[[], object]) -> float:
    """By how many MiB it grows at most during ``work``, looked at a hundred times a second."""
    before, peaks, done = _mib(), [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            peaks.append(_mib())

    watcher = threading.Thread(target=watch)
    watcher.start()
    work()
    done.set()
    watcher.join()
    return max(peaks) - before


def _mib() -> float:
    return int(re.search(r"RssAnon:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024
