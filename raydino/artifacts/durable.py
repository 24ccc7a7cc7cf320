"""What must survive a power cut: files and folders are on the disk before anybody is told so."""

from __future__ import annotations

import os
from pathlib import Path


def on_disk(*paths: Path) -> None:
    """Return when the contents of these files, and the entries of these folders, are on the disk. Raises OSError."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
