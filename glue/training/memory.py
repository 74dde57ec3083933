"""Keeping the memory that a training step frees, instead of handing it back to the system after each."""

from __future__ import annotations

import ctypes

# mallopt(3) of the GNU C library: when freed memory at the top of the heap goes back, and from what size on a block
# gets pages of its own, which go back as soon as it is freed.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_NEVER = 2**31 - 1
_LARGEST = 1 << 30


def keep_freed_memory() -> bool:
    """Tell the C library to reuse large blocks; without it every step asks the system for its pages anew, and the
    system clears each of them first.

    Returns:
        Whether the library knows the settings; only that of GNU/Linux does.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    return bool(mallopt(_TRIM_THRESHOLD, _NEVER)) and bool(mallopt(_MMAP_THRESHOLD, _LARGEST))
