"""What holds for this process from its first moment: it leaves no core files, and gives memory back.

Laws of this file:
1. Texts, phone numbers and keys never get into a core file, also without a service manager. The limit is inherited by
   the embedded stores. (`PR_SET_DUMPABLE` would do more, but gives `/proc/self` to root: user namespaces of the
   embedded Postgres could not be set up.)
2. Memory that a flood of large bodies took is given back. By default, the C library raises the size from which a block
   gets pages of its own as soon as one was freed; then large bodies lie between small objects, and stay.
"""

from __future__ import annotations

import ctypes
import resource
from contextlib import suppress

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGE_BYTES = 256 * 1024
"""Blocks from here on have pages of their own."""
_KEPT_BYTES = 1024 * 1024
"""Free memory at the end of the heap that is kept."""


def settle_process() -> None:
    """Call it before anything is allocated or started. Where the system has none of it, nothing happens."""
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError, AttributeError):  # another C library than glibc
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
