"""Layers of ONNX nodes that slide windows: convolution, pooling, padding, changes of resolution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pyconvnet.formats.onnx.import_shapes import axes_of
from pyconvnet.formats.onnx.library import Refused, zeros
from pyconvnet.formats.onnx.reader import Borders, Handler, Node, Reader, reads
from pyconvnet.formats.onnx.values import Tensor, sizes_text
from pyconvnet.layers import Conv, ConvTranspose, Pooling, ROIPooling, Scale


def reads_images(*ops: str) -> Callable[[Handler], Handler]:
    """Enter a function for operators of images, which gets signals N x C x W as images of one row too."""

    def enter(function: Handler) -> Handler:
        def of_any(r: Reader, n: Node) -> Tensor:
            rank = len(n.tensor().shape)
            if rank not in (3, 4):
                raise Refused(f"it must read images N x C x H x W or signals N x C x W, got {rank} dimensions")
            if rank == 3:
                _as_images(n)
            return r.in_rank(function(r, n), rank)

        reads(*ops)(of_any)
        return function

    return enter


def _as_images(n: Node) -> None:
    """Make a node for signals one for images of one row."""
    one = {"kernel_shape": 1, "strides": 1, "dilations": 1, "output_padding": 0, "output_shape": 1}
    for name, of_rows in one.items():
        if name in n.attributes:
            n.attributes[name] = [of_rows, *n.attributes[name]]
    if "pads" in n.attributes:
        first, last = n.attributes["pads"]
        n.attributes["pads"] = [0, first, 0, last]
    if isinstance(w := n.input(1), np.ndarray) and w.ndim == 3:
        n.inputs[1] = w[:, :, None]


def _image(r: Reader, n: Node) -> Tensor:
    return r.image(n.tensor())


def _four(r: Reader, n: Node) -> Tensor:
    if len(n.tensor().shape) != 4:
        raise Refused(f"it must read images N x C x H x W, its input has {len(n.tensor().shape)} dimensions")
    return _image(r, n)


def _two(n: Node, name: str, default: int = 1) -> tuple[int, int]:
    value = [int(v) for v in n.get(name) or (default, default)]
    if len(value) != 2 or min(value) < 1:
        raise Refused(f"its {name} must be two numbers from 1 up, got {value}")
    return value[0], value[1]


def _pad(r: Reader, n: Node, x: Tensor, size: tuple[int, int], stride: Any, dilate: Any) -> Borders:
    """(top, bottom, left, right) of `pads`, or of what auto_pad says."""
    auto = n.get("auto_pad", "NOTSET") or "NOTSET"
    if auto == "NOTSET":
        pads = [int(v) for v in n.get("pads") or [0] * 4]
        if len(pads) != 4 or min(pads) < 0:
            raise Refused(f"its pads must be four numbers from 0 up, got {pads}")
        return pads[0], pads[2], pads[1], pads[3]
    if auto == "VALID":
        return 0, 0, 0, 0
    found: list[int] = []
    for length, s, step, d in zip(r.pixels(x), size, stride, dilate):
        total = max((-(-length // step) - 1) * step + (s - 1) * d + 1 - length, 0)
        less, more = total // 2, total - total // 2
        found += [less, more] if auto == "SAME_UPPER" else [more, less]
    return found[0], found[1], found[2], found[3]


def filters_of(n: Node, i: int = 1) -> np.ndarray:
    """The filters of a node as floating-point numbers of four dimensions."""
    w = n.constant(i, "filters")
    if w is None or w.ndim != 4 or w.dtype.kind != "f":
        raise Refused("its filters must be those of images or signals")
    return w


def _biases(r: Reader, n: Node, count: int, dtype: Any) -> list[tuple[str, np.ndarray]]:
    b = n.constant(2, "biases")
    if b is None:
        return []
    if b.size != count:
        raise Refused(f"it has {b.size} biases for {count} filters")
    return [(r.name_of(2, "bias"), b.reshape(-1, 1).astype(dtype))]


@reads_images("Conv")
def conv(r: Reader, n: Node) -> Tensor:
    x, w = _image(r, n), filters_of(n)
    size, stride, dilate = (w.shape[2], w.shape[3]), _two(n, "strides"), _two(n, "dilations")
    groups = n.get("group", 1)
    if w.shape[1] * groups != r.channels(x) or w.shape[0] % groups:
        raise Refused(f"its {groups} groups of filters {list(w.shape)} do not fit {r.channels(x)} channels")
    f = w.transpose(2, 3, 1, 0)
    pad = _pad(r, n, x, size, stride, dilate)
    biases = _biases(r, n, w.shape[0], w.dtype)
    block = Conv(size=f.shape, hasBias=bool(biases), stride=stride, pad=pad, dilate=dilate)
    if x.var in r.padding:  # zeros around what it reads are its own pad
        x, around = r.padding[x.var]
        block.load(pad=[a + b for a, b in zip(pad, around)])
    return r.layer(block, [x], [(r.name_of(1, "filter"), f), *biases])


@reads_images("ConvTranspose")
def convt(r: Reader, n: Node) -> Tensor:
    x, w = _image(r, n), filters_of(n)
    stride, dilate, groups = _two(n, "strides"), _two(n, "dilations"), n.get("group", 1)
    if w.shape[0] != r.channels(x) or w.shape[0] % groups:
        raise Refused(f"its {groups} groups of filters {list(w.shape)} do not fit {r.channels(x)} channels")
    f = w.transpose(2, 3, 1, 0)
    if dilate != (1, 1):  # zeros between the pixels of the filters
        spread = [(s - 1) * d + 1 for s, d in zip(f.shape, dilate)]
        f, dense = zeros(*spread, *f.shape[2:]).astype(f.dtype), f
        f[:: dilate[0], :: dilate[1]] = dense
    extra = [int(v) for v in n.get("output_padding") or (0, 0)]
    if len(extra) != 2 or any(e >= max(s, d) for e, s, d in zip(extra, stride, dilate)) or min(extra) < 0:
        raise Refused(f"its output_padding {extra} must be less than its strides")
    crop = _crop(r, n, x, f.shape[:2], stride, extra)
    grow = [max(0, -crop[1]), max(0, -crop[3])]
    if any(grow):  # rows that nothing reaches are zeros of a longer filter
        f = np.pad(f, ((0, grow[0]), (0, grow[1]), (0, 0), (0, 0)))
        crop = (crop[0], crop[1] + grow[0], crop[2], crop[3] + grow[1])
    if min(crop) < 0:
        raise Refused(f"it adds pixels before the first: pads {list(crop)}")
    biases = _biases(r, n, w.shape[1] * groups, w.dtype)
    block = ConvTranspose(size=f.shape, hasBias=bool(biases), upsample=stride, crop=crop, numGroups=groups)
    return r.layer(block, [x], [(r.name_of(1, "filter"), f), *biases])


def _crop(r: Reader, n: Node, x: Tensor, size: tuple[int, ...], stride: Any, extra: list[int]) -> Borders:
    """(top, bottom, left, right) cut off, less than 0 where pixels are added."""
    wanted, auto = n.get("output_shape"), n.get("auto_pad", "NOTSET") or "NOTSET"
    if wanted is None and auto in ("NOTSET", "VALID"):
        pads = [int(v) for v in (n.get("pads") if auto == "NOTSET" else None) or [0] * 4]
        if len(pads) != 4:
            raise Refused(f"its pads must be four numbers, got {pads}")
        return pads[0], pads[2] - extra[0], pads[1], pads[3] - extra[1]
    found: list[int] = []
    for i, length in enumerate(r.pixels(x)):
        goal = int(wanted[-2:][i]) if wanted is not None else length * stride[i]
        total = stride[i] * (length - 1) + extra[i] + size[i] - goal
        small, large = total // 2, total - total // 2
        first, last = (small, large) if auto == "SAME_UPPER" else (large, small)
        found += [first, last - extra[i]]
    return found[0], found[1], found[2], found[3]


@reads_images("MaxPool", "AveragePool")
def pool(r: Reader, n: Node) -> Tensor:
    x = _image(r, n)
    size, stride = _two(n, "kernel_shape"), _two(n, "strides")
    if _two(n, "dilations") != (1, 1):
        raise Refused("pooling with dilations is not known here")
    top, bottom, left, right = _pad(r, n, x, size, stride, (1, 1))
    if n.get("ceil_mode", 0):
        # a last window may reach beyond the end, as a pad there has it, unless it starts there
        ends = []
        for length, s, step, first, last in zip(r.pixels(x), size, stride, (top, left), (bottom, right)):
            at = -(-(length + first + last - s) // step) * step
            at = at if at < length + first else at - step
            ends.append(max(at + s - (length + first + last), 0))
        if any(ends) and n.get("count_include_pad", 0) and n.op == "AveragePool":
            raise Refused("ceil_mode with count_include_pad is not known here")
        bottom, right = bottom + ends[0], right + ends[1]
    pad = (top, bottom, left, right)
    if n.op == "AveragePool" and n.get("count_include_pad", 0) and any(pad):
        x, pad = padded(r, x, pad), (0, 0, 0, 0)
    if any(a >= s for a, s in zip(pad, (size[0], size[0], size[1], size[1]))):
        raise Refused(f"its pads {list(pad)} must be less than its window {list(size)}")
    method = "max" if n.op == "MaxPool" else "avg"
    return r.layer(Pooling(poolSize=size, stride=stride, pad=pad, method=method), [x])


@reads_images("GlobalAveragePool", "GlobalMaxPool")
def whole_image(r: Reader, n: Node) -> Tensor:
    return _pooled(r, _image(r, n), "avg" if n.op == "GlobalAveragePool" else "max")


@reads("ReduceMean", "ReduceMax")
def reduced(r: Reader, n: Node) -> Tensor:
    axes = axes_of(r, n, 18, len(n.tensor().shape))
    rank = len(n.tensor().shape)
    if sorted(axes or []) not in ([2], [2, 3]) or len(axes or []) != rank - 2:
        raise Refused("it must go over height and width of images, axes 2 and 3, or over signals")
    y = _pooled(r, _image(r, n), "avg" if n.op == "ReduceMean" else "max")
    return r.in_rank(y, rank if n.get("keepdims", 1) else 2)


def _pooled(r: Reader, x: Tensor, method: str) -> Tensor:
    return r.layer(Pooling(poolSize=r.pixels(x), method=method), [x])


def padded(r: Reader, x: Tensor, pad: Borders) -> Tensor:
    """Zeros around x: a convolution whose filters are one 1 each."""
    count = r.channels(x)
    filters = np.ones((1, 1, 1, count), np.float32)
    y = r.layer(
        Conv(size=filters.shape, hasBias=False, pad=pad), [x], [(f"{r.node.outputs[0]}_pad", filters)], part="pad"
    )
    r.padding[y.var] = x, pad
    return y


@reads("Pad")
def pad(r: Reader, n: Node) -> Tensor:
    x = _four(r, n)
    if n.get("mode", "constant") != "constant":
        raise Refused(f"mode {n.get('mode')!r} is not known here")
    if r.opset < 11:
        pads, value = n.get("pads") or n.get("paddings"), n.get("value", 0.0)
    else:
        pads, value = n.constant(1, "pads"), n.constant(2, "value")
        if (axes := n.constant(3, "axes")) is not None:
            spread, at = np.zeros(8, int), [int(a) % 4 for a in axes]
            spread[at], spread[[a + 4 for a in at]] = np.ravel(pads)[: len(at)], np.ravel(pads)[len(at) :]
            pads = spread
    pads = [int(v) for v in np.ravel(pads)]
    if len(pads) != 8 or any(pads[i] for i in (0, 1, 4, 5)) or min(pads) < 0:
        raise Refused(f"its pads must be from 0 up, and of height and width only, got {pads}")
    if value is not None and np.any(np.ravel(value) != 0):
        raise Refused("it must pad with zeros")
    return padded(r, x, (pads[2], pads[6], pads[3], pads[7])) if any(pads) else x


@reads("Resize", "Upsample")
def resize(r: Reader, n: Node) -> Tensor:
    x = _four(r, n)
    (down, across) = _factors(r, n, x)
    if n.get("mode", "nearest") != "nearest":
        raise Refused(f"mode {n.get('mode')!r} is not known here, nearest is")
    if n.op == "Resize" and r.opset > 10:
        _check_nearest(n, (down, across))
    if (down, across) == (1, 1):
        return x
    count = r.channels(x)
    f = zeros(down, across, 1, count) + 1
    block = ConvTranspose(size=f.shape, hasBias=False, upsample=(down, across), numGroups=count)
    return r.layer(block, [x], [(f"{n.outputs[0]}_ones", f)])


def _factors(r: Reader, n: Node, x: Tensor) -> tuple[int, int]:
    scales: Any
    if n.op == "Upsample" and r.opset < 9:
        scales = n.get("scales") or [1, 1, n.get("height_scale", 1), n.get("width_scale", 1)]
    else:
        scales = n.constant(1 if n.op == "Upsample" or r.opset < 11 else 2, "scales")
    axes = [int(a) % 4 for a in n.get("axes") or range(4)]
    if scales is None or not np.size(scales):
        sizes = n.constant(3, "sizes")
        if sizes is None or n.get("keep_aspect_ratio_policy", "stretch") != "stretch":
            raise Refused("it must have scales, or sizes to stretch to")
        whole = np.array([x.base[0], r.channels(x), *r.pixels(x)], float)
        scales = np.ravel(sizes) / whole[axes[: np.size(sizes)]]
    found = np.ones(4)
    if np.size(scales) != len(axes):
        raise Refused(f"it has {np.size(scales)} factors for {len(axes)} axes")
    found[axes] = np.ravel(scales)
    if found.size != 4 or np.any(found[:2] != 1) or np.any(found < 1) or np.any(found % 1):
        raise Refused(f"it must enlarge height and width by whole factors, got {found.tolist()}")
    return int(found[2]), int(found[3])


def _check_nearest(n: Node, factors: tuple[int, int]) -> None:
    """Whether pixel i of the result is pixel floor(i / factor), as the mode and its rounding have it."""
    place, rounding = n.get("coordinate_transformation_mode", "half_pixel"), n.get("nearest_mode", "round_prefer_floor")
    rounds: dict[str, Any] = {
        "round_prefer_floor": lambda v: np.ceil(v - 0.5),
        "round_prefer_ceil": lambda v: np.floor(v + 0.5),
        "floor": np.floor,
        "ceil": np.ceil,
    }
    for factor in factors:
        i = np.arange(4 * factor)
        at = i / factor if place == "asymmetric" else (i + 0.5) / factor - 0.5
        known = place in ("asymmetric", "half_pixel", "pytorch_half_pixel", "half_pixel_symmetric")
        known = known and rounding in rounds
        if not known or np.any(np.clip(rounds[rounding](at), 0, 3) != i // factor):
            raise Refused(f"{place} with {rounding} is no repetition of pixels for the factor {factor}")


@reads("DepthToSpace", "SpaceToDepth")
def blocks(r: Reader, n: Node) -> Tensor:
    """Channels to pixels by a transposed convolution, pixels to channels by a convolution."""
    x, b = _four(r, n), int(n.get("blocksize", 0))
    count = r.channels(x)
    if n.op == "SpaceToDepth":
        f = zeros(b, b, count, b * b * count)
        for i, j, c in np.ndindex(b, b, count):
            f[i, j, c, c * b * b + i * b + j if n.get("mode", "DCR") == "CRD" else (i * b + j) * count + c] = 1
        return r.layer(Conv(size=f.shape, hasBias=False, stride=b), [x], [(f"{n.outputs[0]}_blocks", f)])
    if b < 1 or count % (b * b):
        raise Refused(f"blocksize {b} does not divide {count} channels")
    fewer = count // (b * b)
    f = zeros(b, b, fewer, count)
    for i, j, c in np.ndindex(b, b, fewer):
        f[i, j, c, c * b * b + i * b + j if n.get("mode", "DCR") == "CRD" else (i * b + j) * fewer + c] = 1
    return r.layer(ConvTranspose(size=f.shape, hasBias=False, upsample=b), [x], [(f"{n.outputs[0]}_blocks", f)])


@reads("MaxRoiPool")
def roipool(r: Reader, n: Node) -> Tensor:
    x, rois = _four(r, n), r.image(n.tensor(1))
    if rois.base[1:] != (5, 1, 1):
        raise Refused(f"its regions must be R x 5, got {sizes_text(n.tensor(1).shape)}")
    one = np.ones((1, 1, 5), np.float32)
    regions = r.layer(
        Scale(size=(1, 1, 5)), [rois], [(f"{n.outputs[0]}_one", one), (f"{n.outputs[0]}_first", one)], part="regions"
    )
    cells = _two(n, "pooled_shape")
    return r.layer(ROIPooling(subdivisions=cells, transform=n.get("spatial_scale", 1.0)), [x, regions])
