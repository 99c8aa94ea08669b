"""Calls of operators with more than 2^31 elements, each checked where values are.

Inputs are memory that the system gives only where it is written: all zeros, but for a few numbers at both ends and
around the places where a count of 31 or 32 bits overflows.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable

import numpy as np

import pyconvnet as pcn

SIDE = 46_400  # of an image of more than 2^31 pixels
STRIDE = 15_465  # takes 4 x 4 windows of 3 x 3 to its corners
random = np.random.default_rng(0)
Check = Callable[[], None]


def peak() -> int:
    """The largest memory of this process so far, in bytes; what getrusage tells includes that of the process before."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM"))


def sparse(shape: tuple[int, ...]) -> np.ndarray:
    """Zeros H x W x C x N, channels fastest, that take memory only where something is written."""
    h, w, c, n = shape
    memory = mmap.mmap(-1, 4 * h * w * c * n, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0))
    return np.frombuffer(memory, np.float32).reshape(n, h, w, c).transpose(1, 2, 3, 0)


def marked(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """(such an array with values at some places, these places in its memory)."""
    x = sparse(shape)
    flat = in_memory(x)
    edges = np.array([0, 2**30, 2**31, flat.size], np.int64)
    at = np.unique(np.clip((edges[:, None] + np.arange(-40, 40)).ravel(), 0, flat.size - 1))
    flat[at] = random.standard_normal(at.size, dtype=np.float32)
    return x, at


def in_memory(x: np.ndarray) -> np.ndarray:
    return x.transpose(3, 0, 1, 2).reshape(-1)


def near(found: np.ndarray, wanted: np.ndarray, tolerance: float = 1e-5) -> None:
    assert found.shape == wanted.shape, (found.shape, wanted.shape)
    assert np.any(wanted), "nothing to see"
    worst = float(np.abs(found - wanted).max())
    assert worst <= tolerance * max(1.0, float(np.abs(wanted).max())), worst


def corners() -> tuple[np.ndarray, np.ndarray]:
    """(an image of SIDE x SIDE x 1 x 1, its 4 x 4 windows of 3 x 3 pixels, STRIDE apart, as 4 x 4 x 3 x 3)."""
    x = sparse((SIDE, SIDE, 1, 1))
    seen = np.lib.stride_tricks.sliding_window_view(x[..., 0, 0], (3, 3), writeable=True)[::STRIDE, ::STRIDE]
    seen[...] = random.standard_normal(seen.shape, dtype=np.float32)
    assert seen.shape == (4, 4, 3, 3)
    return x, seen


# --- inputs beyond 2^31 elements, outputs of a few ------------------------------------------------------------------


def convolution() -> None:
    x, seen = corners()
    f, b = random.standard_normal((3, 3, 1, 20), dtype=np.float32), np.ones(20, np.float32)
    y = pcn.vl_nnconv(x, f, b, stride=STRIDE)
    near(y[..., 0], np.einsum("ijuv,uvk->ijk", seen, f[:, :, 0]) + 1)
    d = random.standard_normal(y.shape, dtype=np.float32)
    _, df, _ = pcn.vl_nnconv(x, f, b, d, "noDerData", stride=STRIDE)
    near(df[:, :, 0], np.einsum("ijuv,ijk->uvk", seen, d[..., 0]))


def convolution_of_many_images() -> None:
    x = sparse((4, 4, 64, 2_100_000))
    at = [0, 1, 1_000_000, 1_048_576, 2_097_151, 2_097_152, 2_099_999]
    x[..., at] = random.standard_normal((4, 4, 64, len(at)), dtype=np.float32)
    f = random.standard_normal((4, 4, 64, 2), dtype=np.float32)
    y = pcn.vl_nnconv(x, f, None)
    assert y.shape == (1, 1, 2, 2_100_000) and np.count_nonzero(y) == 2 * len(at)
    near(y[0, 0][:, at], np.einsum("uvcn,uvck->kn", x[..., at], f))


def transposed_convolution() -> None:
    x, _ = marked((1, 1, 2_100_000, 1024))
    f = np.ones((1, 1, 1, 2_100_000), np.float32)
    near(pcn.vl_nnconvt(x, f, None).ravel(), in_memory(x).reshape(1024, -1).sum(axis=1))


def subsampling() -> None:
    x, seen = corners()
    near(pcn.vl_nnconv(x, None, None, stride=STRIDE)[..., 0, 0], seen[:, :, 0, 0])


def pooling() -> None:
    x, seen = corners()
    near(pcn.vl_nnpool(x, 3, stride=STRIDE)[..., 0, 0], seen.max(axis=(2, 3)))
    near(pcn.vl_nnpool(x, 3, stride=STRIDE, method="avg")[..., 0, 0], seen.mean(axis=(2, 3)))


def regions() -> None:
    x, seen = corners()
    last = 3 * STRIDE + 1  # counted from 1
    rois = np.array([[1, last, last, last + 2, last + 2], [1, 1, last, 3, last + 2]], np.float32).T
    near(pcn.vl_nnroipool(x, rois).ravel(), np.array([seen[3, 3].max(), seen[3, 0].max()]))


def bilinear_sampling() -> None:
    x, _ = corners()
    x[0, -1], x[-1, 0], x[-1, -1] = 1, 2, 3
    grid = np.array([1, -1, 1, 1, -1, 1], np.float32).reshape(3, 2).T.reshape(2, 3, 1, 1)
    near(pcn.vl_nnbilinearsampler(x, grid).ravel(), np.array([x[r, c, 0, 0] for r, c in ((-1, 0), (-1, -1), (0, -1))]))


def cropping() -> None:
    x, _ = corners()
    near(pcn.vl_nncrop(x, (SIDE - 3, 0, SIDE - 3, 0))[..., 0, 0], x[-3:, -3:, 0, 0])


def losses() -> None:
    x = sparse((1, 1, 65_536, 32_800))
    labels = np.arange(32_800) % 65_536 + 1.0
    x[0, 0, labels.astype(int) - 1, np.arange(32_800)] = 0.5
    assert np.isclose(pcn.vl_nnloss(x, labels, loss="log").item(), -np.log(0.5))
    assert pcn.vl_nnloss(x, labels, loss="classerror").item() == 0
    assert np.isclose(pcn.vl_nnloss(x, labels, loss="mhinge").item(), 0.5)


def fully_connected(order: str) -> None:
    depth, count = 1_050_000, 2_048
    x = sparse((1, 1, depth, 1))
    f = (
        sparse((1, depth, count, 1))[..., 0]
        if order == "C"
        else sparse((1, count, depth, 1))[..., 0].transpose(0, 2, 1)
    )
    at = np.array([0, 1, 2**19, 2**20 - 1, 2**20, depth - 2, depth - 1])
    x[0, 0, at, 0] = random.standard_normal(at.size, dtype=np.float32)
    f[0][at] = random.standard_normal((at.size, count), dtype=np.float32)
    near(pcn.vl_nnconv(x, f[None], None).ravel(), x[0, 0, at, 0] @ f[0][at])


# --- elementwise: the result alone is 8.7 GB -------------------------------------------------------------------------


def elementwise(name: str, scalar: Callable[[np.ndarray], np.ndarray], *args: object, **options: object) -> None:
    x, at = marked((SIDE, SIDE, 1, 1))
    y = getattr(pcn, name)(x, *args, **options)
    near(in_memory(y)[at], scalar(in_memory(x)[at]))


def relu_derivative() -> None:
    (x, at), (d, _) = marked((SIDE, SIDE, 1, 1)), marked((SIDE, SIDE, 1, 1))
    dx = in_memory(pcn.vl_nnrelu(x, d))
    near(dx[at], in_memory(d)[at] * (in_memory(x)[at] > 0))


def softmax() -> None:
    x, at = marked((1, SIDE, 16, 2_901))
    y, rows = in_memory(pcn.vl_nnsoftmax(x)).reshape(-1, 16), np.unique(at // 16)
    e = np.exp(in_memory(x).reshape(-1, 16)[rows])
    near(y[rows], e / e.sum(axis=1, keepdims=True))


def batch_normalization() -> None:
    x, at = marked((1, SIDE, 16, 2_901))
    g, b = random.standard_normal((2, 16), dtype=np.float32)
    y, moments = pcn.vl_nnbnorm(x, g, b)
    rows, seen = np.unique(at // 16), in_memory(x).reshape(-1, 16)
    # means of some 1e-7, taken about one of 4e-3 in single precision
    near(moments[:, 0] * 1e6, seen[rows].sum(axis=0, dtype=float) / len(seen) * 1e6, 2e-2)
    near(in_memory(y).reshape(-1, 16)[rows], (seen[rows] - moments[:, 0]) / moments[:, 1] * g + b)


def response_normalization() -> None:
    x, at = marked((1, SIDE, 16, 2_901))
    with pcn.local_precision("high"):
        y = in_memory(pcn.vl_nnnormalize(x, [3, 1, 0.5, 0.75])).reshape(-1, 16)
    rows = np.unique(at // 16)
    seen = in_memory(x).reshape(-1, 16)[rows]
    squares = np.pad(seen**2, ((0, 0), (1, 1)))
    near(y[rows], seen * (1 + 0.5 * (squares[:, :-2] + squares[:, 1:-1] + squares[:, 2:])) ** -0.75)


def pooling_derivative(method: str) -> None:
    x, seen = corners()
    d = random.standard_normal((4, 4, 1, 1), dtype=np.float32)
    dx = pcn.vl_nnpool(x, 3, d, stride=STRIDE, method=method)
    found = np.lib.stride_tricks.sliding_window_view(dx[..., 0, 0], (3, 3))[::STRIDE, ::STRIDE]
    share = seen == seen.max(axis=(2, 3), keepdims=True) if method == "max" else np.full(seen.shape, 1 / 9)
    near(found, share * d)


def convolution_derivative() -> None:
    x, _ = corners()
    f = random.standard_normal((3, 3, 1, 20), dtype=np.float32)
    d = random.standard_normal((4, 4, 20, 1), dtype=np.float32)
    dx = pcn.vl_nnconv(x, f, None, d, "noDerFilters", stride=STRIDE)[0]
    found = np.lib.stride_tricks.sliding_window_view(dx[..., 0, 0], (3, 3))[::STRIDE, ::STRIDE]
    near(found, np.einsum("ijk,uvk->ijuv", d[..., 0], f[:, :, 0]))


def repeated_images() -> None:
    """70000 images that are one in memory: kernels copy them all."""
    image = random.standard_normal((176, 176, 1, 1), dtype=np.float32)
    y = pcn.vl_nnpool(np.broadcast_to(image, (176, 176, 1, 70_000)), 88, stride=88)
    wanted = pcn.vl_nnpool(image, 88, stride=88)
    assert y.shape == (2, 2, 1, 70_000) and bool((y == wanted).all())


SHORT: dict[str, Check] = {
    "convolution": convolution,
    "subsampling": subsampling,
    "pooling": pooling,
    "regions of interest": regions,
    "bilinear sampling": bilinear_sampling,
    "cropping": cropping,
}
LONG: dict[str, Check] = {
    "transposed convolution": transposed_convolution,
    "convolution of many images": convolution_of_many_images,
    "fully connected, C order": lambda: fully_connected("C"),
    "fully connected, Fortran order": lambda: fully_connected("F"),
    "losses": losses,
    "relu": lambda: elementwise("vl_nnrelu", lambda v: np.maximum(v, 0)),
    "leaky relu": lambda: elementwise("vl_nnrelu", lambda v: np.where(v > 0, v, v / 4), leak=0.25),
    "relu, derivative": relu_derivative,
    "sigmoid": lambda: elementwise("vl_nnsigmoid", lambda v: 1 / (1 + np.exp(-v))),
    "softmax": softmax,
    "batch normalization": batch_normalization,
    "response normalization": response_normalization,
    "max pooling, derivative": lambda: pooling_derivative("max"),
    "average pooling, derivative": lambda: pooling_derivative("avg"),
    "convolution, derivative by data": convolution_derivative,
    "repeated images": repeated_images,
}
