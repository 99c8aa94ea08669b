"""How exact float32 convolution and the power of LRN are; float64 convolution is always exact to 1e-12 relative."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

PRECISIONS = ("fast", "high")
_process_precision = "fast"
_context_precision: ContextVar[str | None] = ContextVar("pyconvnet_precision", default=None)


def set_precision(precision: str) -> None:
    """Choose between speed and exactness of 3 x 3 and 5 x 5 convolution of float32 arrays, and of LRN.

    "fast"  Winograd's F(4x4, 3x3) and F(2x2, 5x5): errors up to 5e-6 of the largest output (a plain sum: up to 2e-6);
            the default. LRN raises to a power as MatConvNet's CPU code does, up to 4e-3 off
    "high"  F(2x2, 3x3), errors under 1e-6, 1.4 times the time; plain sums for 5 x 5, twice the time. LRN with the exact
            power, as MatConvNet's GPU code has it, and other libraries

    This is for the whole process; `local_precision` is for a block.
    """
    global _process_precision
    _process_precision = _checked("set_precision", precision)


@contextmanager
def local_precision(precision: str) -> Iterator[None]:
    """ "fast" or "high" inside the block, for this Python thread; see set_precision.

    >>> with local_precision("high"):
    ...     get_precision()
    'high'
    """
    token = _context_precision.set(_checked("local_precision", precision))
    try:
        yield
    finally:
        _context_precision.reset(token)


def get_precision() -> str:
    """The precision in force, "fast" or "high"."""
    return _context_precision.get() or _process_precision


def _checked(fn: str, precision: str) -> str:
    if precision not in PRECISIONS:
        raise ValueError(f"{fn}: precision must be {' or '.join(map(repr, PRECISIONS))}, got {precision!r}")
    return precision
