"""How much memory a run has taken."""

from __future__ import annotations

import sys

try:
    import resource
except ImportError:
    resource = None  # on Windows


def peak_megabytes() -> float | None:
    """Most memory that this process has had at one time.

    Returns
    -------
    float or None
        MB of 2^20 bytes; None where the system does not tell: Windows.

    Example
    -------
    >>> peak_megabytes() is None or peak_megabytes() > 1
    True
    """
    if resource is None:
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # macOS tells bytes, Linux KB.
    return most / (1 << 20 if sys.platform == "darwin" else 1 << 10)
