"""The networks of the benchmarks as plain lists of layers with random weights, from which each library builds its own.

("conv", filters h x w x C x K, biases, stride, pad, groups) ("relu",) ("pool", size, stride, pad, method)
("lrn", n, kappa, alpha, beta) ("bnorm", g, b, moments) ("softmax",) ("sigmoid",) ("sum", layers, layers)
pad is (top, bottom, left, right); a sum is that of two branches.
Networks for training end before their loss, which is softmax and log.
"""

from __future__ import annotations

import numpy as np

Layers = list[tuple]


class _Chain:
    """Appends layers; knows the number of channels so far."""

    def __init__(self, channels: int) -> None:
        self.random, self.channels, self.layers = np.random.default_rng(0), channels, []

    def conv(self, size: int, count: int, stride: int = 1, pad=0, groups: int = 1, relu: bool = True) -> _Chain:
        depth = self.channels // groups
        f = self.random.standard_normal((size, size, depth, count), dtype=np.float32)
        f *= np.float32(np.sqrt(2 / (size * size * depth)))
        b = np.full(count, 0.01, np.float32)
        self.layers.append(("conv", f, b, stride, (pad,) * 4 if isinstance(pad, int) else pad, groups))
        self.channels = count
        return self.add("relu") if relu else self

    def pool(self, size: int, stride: int, pad=(0, 0, 0, 0), method: str = "max") -> _Chain:
        return self.add("pool", size, stride, pad, method)

    def bnorm(self) -> _Chain:
        k = self.channels
        moments = np.stack([self.random.standard_normal(k) / 10, np.ones(k)], axis=1).astype(np.float32)
        return self.add("bnorm", np.ones(k, np.float32), np.full(k, 0.01, np.float32), moments)

    def branch(self) -> _Chain:
        other = _Chain(self.channels)
        other.random = self.random
        return other

    def add(self, *layer) -> _Chain:
        self.layers.append(layer)
        return self


def lenet() -> tuple[Layers, tuple[int, int, int]]:
    """MatConvNet's LeNet for MNIST."""
    c = _Chain(1).conv(5, 20, relu=False).pool(2, 2).conv(5, 50, relu=False).pool(2, 2)
    return c.conv(4, 500).conv(1, 10, relu=False).layers, (28, 28, 1)


def vgg_f(training: bool = False) -> tuple[Layers, tuple[int, int, int]]:
    """CNN-F of Chatfield et al. 2014."""
    c = _Chain(3).conv(11, 64, 4).add("lrn", 5, 2.0, 1e-4, 0.75).pool(3, 2, (0, 1, 0, 1))
    c.conv(5, 256, pad=2).add("lrn", 5, 2.0, 1e-4, 0.75).pool(3, 2)
    c.conv(3, 256, pad=1).conv(3, 256, pad=1).conv(3, 256, pad=1).pool(3, 2)
    c.conv(6, 4096).conv(1, 4096).conv(1, 1000, relu=False)
    return (c if training else c.add("softmax")).layers, (224, 224, 3)


def vgg_vd_16(training: bool = False) -> tuple[Layers, tuple[int, int, int]]:
    """Simonyan and Zisserman 2014, configuration D."""
    c = _Chain(3)
    for width, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(depth):
            c.conv(3, width, pad=1)
        c.pool(2, 2)
    c.conv(7, 4096).conv(1, 4096).conv(1, 1000, relu=False)
    return (c if training else c.add("softmax")).layers, (224, 224, 3)


def dncnn() -> tuple[Layers, tuple[int, int, int]]:
    """Zhang et al. 2017, 17 layers, batch normalization merged into the filters."""
    c = _Chain(1).conv(3, 64, pad=1)
    for _ in range(15):
        c.conv(3, 64, pad=1)
    return c.conv(3, 1, pad=1, relu=False).layers, (512, 512, 1)


def resnet_50() -> tuple[Layers, tuple[int, int, int]]:
    """He et al. 2016; strides in the first convolution of a block, as there."""
    c = _Chain(3).conv(7, 64, 2, 3, relu=False).bnorm().add("relu").pool(3, 2, (0, 1, 0, 1))
    for width, depth in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for i in range(depth):
            stride = 2 if i == 0 and width > 64 else 1
            a, b = c.branch(), c.branch()
            a.conv(1, width, stride, relu=False).bnorm().add("relu")
            a.conv(3, width, pad=1, relu=False).bnorm().add("relu").conv(1, 4 * width, relu=False).bnorm()
            if i == 0:
                b.conv(1, 4 * width, stride, relu=False).bnorm()
            c.add("sum", a.layers, b.layers).add("relu")
            c.channels = 4 * width
    return c.pool(7, 1, method="avg").conv(1, 1000, relu=False).add("softmax").layers, (224, 224, 3)


def operators() -> dict[str, tuple[Layers, tuple[int, int, int, int]]]:
    """Single layers and their input sizes, H x W x C x N."""
    pool, random = ("pool", 2, 2, (0, 0, 0, 0)), np.random.default_rng(0)

    def conv(size, channels, count, **options):
        return _Chain(channels).conv(size, count, relu=False, **options).layers

    def single(*shape, pad=(0, 0, 0, 0), stride=1, groups=1, dilate=1, kind=np.float32):
        """One convolution by filters of a shape h x w x C x K."""
        f, b = (random.standard_normal(s).astype(kind) for s in (shape, shape[3]))
        return [("conv", f, b, stride, pad, groups, dilate)]

    g, b = random.standard_normal((2, 64), dtype=np.float32)
    moments = np.stack([b, np.abs(g) + 1], axis=1)
    return {
        "conv 3x3x64x64, 56x56x8": (conv(3, 64, 64, pad=1), (56, 56, 64, 8)),
        "conv 3x3x512x512, 14x14x8": (conv(3, 512, 512, pad=1), (14, 14, 512, 8)),
        "conv 3x3x128x128 stride 2, 56x56x8": (conv(3, 128, 128, stride=2, pad=1), (56, 56, 128, 8)),
        "conv 1x1x256x64, 56x56x8": (conv(1, 256, 64), (56, 56, 256, 8)),
        "conv 5x5x48x128 in 2 groups, 27x27x8": (conv(5, 96, 256, pad=2, groups=2), (27, 27, 96, 8)),
        "conv 11x11x3x64 stride 4, 224x224x8": (conv(11, 3, 64, stride=4), (224, 224, 3, 8)),
        "conv 5x5x20x50, 12x12x100": (conv(5, 20, 50), (12, 12, 20, 100)),
        "conv 3x3x64x64 dilated by 2, 56x56x8": (single(3, 3, 64, 64, pad=(2, 2, 2, 2), dilate=2), (56, 56, 64, 8)),
        "conv 3x3 of each of 128 channels, 56x56x8": (
            single(3, 3, 1, 128, pad=(1, 1, 1, 1), groups=128),
            (56, 56, 128, 8),
        ),
        "conv 3x3x3x64, 224x224x8": (single(3, 3, 3, 64, pad=(1, 1, 1, 1)), (224, 224, 3, 8)),
        "conv 7x7x3x64 stride 2, 224x224x8": (single(7, 7, 3, 64, pad=(3, 3, 3, 3), stride=2), (224, 224, 3, 8)),
        "conv 1x9x64x64, 1x16000": (single(1, 9, 64, 64, pad=(0, 0, 4, 4)), (1, 16000, 64, 1)),
        "conv 1x64x1x32 stride 2, 1x16000x8": (single(1, 64, 1, 32, stride=(1, 2)), (1, 16000, 1, 8)),
        "conv 3x3x64x64 in double, 56x56x2": (single(3, 3, 64, 64, pad=(1, 1, 1, 1), kind=np.float64), (56, 56, 64, 2)),
        "fully connected 4096x4096, x1": (conv(1, 4096, 4096), (1, 1, 4096, 1)),
        "fully connected 9216x4096 as MATLAB keeps it, x1": (_as_matlab(conv(1, 9216, 4096)), (1, 1, 9216, 1)),
        "fully connected 4096x4096, x16": (conv(1, 4096, 4096), (1, 1, 4096, 16)),
        "fully connected 4096x4096, x8": (conv(1, 4096, 4096), (1, 1, 4096, 8)),
        "max pool 2, 112x112x64x8": ([(*pool, "max")], (112, 112, 64, 8)),
        "max pool 3 stride 2, 55x55x64x8": ([("pool", 3, 2, (0, 0, 0, 0), "max")], (55, 55, 64, 8)),
        "avg pool 2, 112x112x64x8": ([(*pool, "avg")], (112, 112, 64, 8)),
        "relu, 112x112x64x8": ([("relu",)], (112, 112, 64, 8)),
        "sigmoid, 112x112x64x8": ([("sigmoid",)], (112, 112, 64, 8)),
        "bnorm, 56x56x64x8": ([("bnorm", g, b, moments)], (56, 56, 64, 8)),
        "lrn 5, 55x55x64x8": ([("lrn", 5, 2.0, 1e-4, 0.75)], (55, 55, 64, 8)),
        "softmax 21, 256x256": ([("softmax",)], (256, 256, 21, 1)),
    }


def _as_matlab(layers: Layers) -> Layers:
    """With filters in MATLAB's memory order, as they come from a file."""
    return [(kind, np.asfortranarray(f), *rest) for kind, f, *rest in layers]


def precision(layers: Layers) -> np.dtype:
    """The element type of the first filters; single where there are none."""
    return next((layer[1].dtype for layer in layers if layer[0] == "conv"), np.dtype(np.float32))


def pair(value) -> tuple[int, int]:
    """A stride or dilation, vertically and horizontally."""
    return tuple(value) if isinstance(value, tuple) else (value, value)


def flop(layers: Layers, size: tuple[int, int, int], batch: int) -> float:
    """Multiplications and additions of the convolutions of a forward pass."""
    return _work(layers, size)[0] * batch


def traffic(layers: Layers, size: tuple[int, int, int], batch: int, mode: str) -> int:
    """Bytes of input, output and filters, which memory must be asked for once; backward, of their derivatives too.

    What layers hand to each other may stay in the caches, and is not counted.
    """
    item, parameters = precision(layers).itemsize, sum(a.size for a in arrays(layers))
    ends = (np.prod(size) + np.prod(_work(layers, size)[1])) * batch
    return int(item * (parameters + ends) * (1 if mode == "forward" else 2))


def arrays(layers: Layers):
    """All filters, biases and the like."""
    for layer in layers:
        for value in layer[1:]:
            if isinstance(value, np.ndarray):
                yield value
            elif isinstance(value, list):
                yield from arrays(value)


def _work(layers: Layers, size: tuple[int, int, int]) -> tuple[float, tuple[int, int, int]]:
    """(multiplications and additions, size of the output) for one image."""
    total, (h, w, c) = 0.0, size
    for kind, *rest in layers:
        if kind == "conv":
            f, _, stride, pad, _, *dilate = rest
            steps, spread = pair(stride), pair(dilate[0] if dilate else 1)
            sides = zip((h, w), pad[::2], pad[1::2], f.shape, steps, spread)
            h, w = ((n + a + b - (k - 1) * d - 1) // s + 1 for n, a, b, k, s, d in sides)
            c = f.shape[3]
            total += 2.0 * f.size * h * w
        elif kind == "pool":
            k, stride, pad, _ = rest
            h, w = ((n + a + b - k) // stride + 1 for n, a, b in zip((h, w), pad[::2], pad[1::2]))
        elif kind == "sum":
            (left, (h, w, c)), (right, _) = (_work(branch, (h, w, c)) for branch in rest)
            total += left + right
    return total, (h, w, c)
