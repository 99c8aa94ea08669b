"""How exact float32 convolution and the power of LRN are; float64 convolution is always exact to 1e-12 relative."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from pyconvnet.values import choice

PRECISIONS = ("fast", "high", "half", "bfloat16")
_process_precision = "fast"
_context_precision: ContextVar[str | None] = ContextVar("pyconvnet_precision", default=None)


def set_precision(precision: str) -> None:
    """Choose between speed and exactness of convolution of float32 arrays by small filters, and of LRN.

    "fast"  Winograd's F(4x4, 3x3) and F(2x2, 5x5): errors up to 5e-6 of the largest output (a plain sum: up to 2e-6);
            with stride 2, F(3x3, 2x2) for 3 and 4 taps, 1e-6, and F(4x4, 3x3) for 5 and 6. The default. LRN raises to
            a power as MatConvNet's CPU code does, up to 4e-3 off
    "high"  F(2x2, 3x3), errors under 1e-6, 1.4 times the time; plain sums for 5 x 5 of stride 1, twice the time. LRN
            with the exact power, as MatConvNet's GPU code has it, and other libraries
    "half"  as "fast", and networks that `pyconvnet.deploy` made keep the filters of fully connected layers in half
            precision, for up to 4 images at a time: reading them is half of the time that an image of VGG-F takes, and
            half as much is read. Each filter element is up to 2.4e-4 of itself off, results of such a layer up to 5e-4
            of its largest one; filters that are not finite are used as they are
    "bfloat16"  as "half", and on CPUs that are faster so, convolutions of networks that `pyconvnet.deploy` made round
            images and filters to 8 bits before they multiply: each element is up to 3.9e-3 of itself off, results of
            such a layer mostly under 5e-3 of its largest one; where that is small beside what it sums up, more: 1.9e-2
            in one of 4,144 random layers. Sums are in single precision. With AMX, which Intel's Xeons have
            since 2023 (Linux lets programs use it), that is for all convolutions of 16 channels or more, those that
            read colours, and fully connected layers of 5 images and more: ResNet-50 takes a third of its time. On AMD's
            CPUs from Zen 4 on it is for convolutions of 16 channels or more but Winograd's with stride 1: two thirds

    PyTorch tensors are not concerned: their convolutions are plain sums, or what cuDNN takes for it in single
    precision, and LRN has the exact power. With "high" numpy arrays give what tensors on a device give, to rounding.

    This is for the whole process; `local_precision` is for a block.
    Raises ValueError for another name.
    Source: Lavin and Gray 2016 (Winograd's algorithm for convolutions).
    """
    global _process_precision
    _process_precision = _checked("set_precision", precision)


@contextmanager
def local_precision(precision: str) -> Iterator[None]:
    """ "fast", "high", "half" or "bfloat16" inside the block, for this Python thread; see set_precision.

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
    """The precision in force: "fast", "high", "half" or "bfloat16"."""
    return _context_precision.get() or _process_precision


_deterministic = True


def set_deterministic(deterministic: bool) -> None:
    """Whether the same call gives the same bits each time, on every device; True unless set otherwise.

    False allows PyTorch kernels on a GPU that are faster and add in any order, and cuDNN's trials of algorithms where
    torch.backends.cudnn.benchmark is set. numpy arrays, and tensors on the CPU, give the same bits either way.
    """
    global _deterministic
    if not isinstance(deterministic, bool):
        raise TypeError(f"set_deterministic: deterministic must be True or False, got {deterministic!r}")
    _deterministic = deterministic


def get_deterministic() -> bool:
    """Whether kernels are deterministic on a GPU; see set_deterministic."""
    return _deterministic


AUTOCASTS = ("tf32", "float16", "bfloat16")
_cast: ContextVar[str | None] = ContextVar("pyconvnet_autocast", default=None)


@contextmanager
def autocast(kind: str = "bfloat16") -> Iterator[None]:
    """Convolutions of float32 PyTorch tensors compute in less than single precision inside the block.

    kind  "float16", "bfloat16": inputs and filters are rounded to half precision; what comes out is float32 again.
          "tf32": 10 bits of a factor count on NVIDIA's GPUs from Ampere on; on others nothing changes

    Outside such a block single precision is what it says, whatever torch.backends is set to. float64 tensors and numpy
    arrays are computed as ever. It holds for this Python thread.
    """
    token = _cast.set(choice("autocast: kind", kind, AUTOCASTS))
    try:
        yield
    finally:
        _cast.reset(token)


def autocast_kind() -> str | None:
    """The kind of the autocast block in force, None outside of one."""
    return _cast.get()


def _checked(fn: str, precision: str) -> str:
    return choice(f"{fn}: precision", precision, PRECISIONS)
