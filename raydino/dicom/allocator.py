"""glibc's malloc, told to keep a film's memory for the next film instead of giving it back to the system.

By default the megabytes of a film are returned when it is done, and faulted in anew page by page for the
next: on a virtual machine that took more than half of the time of decoding a 5 Mpx RLE film (20 ms, 8.5
without). Peak memory is the same.
Where the C library is another, nothing is changed. Source: mallopt(3). Neighbour: ``film.prepare_worker``.
"""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_BLOCK = 32 * 2**20  # bytes; the most that every glibc takes, and a film of 16 Mpx at 16 bits
_KEPT = 256 * 2**20  # bytes at the heap's end that stay


def keep_memory() -> bool:
    """Whether the C library took the setting, which holds for this process."""
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return all([mallopt(_M_MMAP_THRESHOLD, _LARGEST_BLOCK), mallopt(_M_TRIM_THRESHOLD, _KEPT)])
