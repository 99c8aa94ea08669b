"""What the tensors of an ONNX graph are while it is read: numbers, or variables of a network seen in some shape."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pyconvnet.formats.onnx.library import Refused, SizeNeeded, check_count, zeros

Shape = tuple[Any, ...]  # of whole numbers, None where a size is free
BATCH = 97  # stands for a free number of images where sizes are computed: one that no file has by chance


def sizes_text(shape: Sequence[Any]) -> str:
    """[N, 3, 224, 224], for messages."""
    return f"[{', '.join('N' if s == BATCH else '?' if s is None else str(s) for s in shape)}]"


@dataclass(frozen=True)
class Tensor:
    """A variable of the network, seen after reshapes and transposes that move elements about.

    var    the variable's name
    base   N, C, H, W of the variable; None where a size is free
    shape  of the tensor now
    moves  what made it of the variable: ("reshape", shape) or ("transpose", axes) one after another
    """

    var: str
    base: Shape
    shape: Shape
    moves: tuple[tuple[str, tuple[int, ...]], ...] = ()

    def reshaped(self, shape: Sequence[int]) -> Tensor:
        """Its elements in another shape, row by row."""
        if self.shape == tuple(shape):
            return self
        if any(s is None for s in (*self.base, *self.shape)):
            raise SizeNeeded()
        if math.prod(shape) != math.prod(self.shape):
            raise Refused(f"{sizes_text(self.shape)} cannot become {sizes_text(shape)}")
        return replace(self, shape=tuple(shape), moves=(*self.moves, ("reshape", tuple(shape))))

    def transposed(self, axes: Sequence[int]) -> Tensor:
        """The axes in another order."""
        if list(axes) == list(range(len(self.shape))):
            return self
        last = self.moves[-1] if self.moves else ("", ())
        if last[0] == "transpose" and [last[1][a] for a in axes] == list(range(len(axes))):
            return replace(self, shape=tuple(self.shape[a] for a in axes), moves=self.moves[:-1])
        return replace(self, shape=tuple(self.shape[a] for a in axes), moves=(*self.moves, ("transpose", tuple(axes))))

    def order(self) -> np.ndarray:
        """Where the elements of one image, in the shape of now, stand among the C x H x W of the variable.

        Raises Refused where elements go from one image to another.
        """
        if any(s is None for s in (*self.base, *self.shape)):
            raise SizeNeeded()
        shape = self.shape
        count = math.prod(self.base[1:])
        if shape[:1] != self.base[:1]:
            raise Refused("it changes which elements belong to an image")
        only_reshaped = all(kind == "reshape" for kind, _ in self.moves)
        check_count(count if only_reshaped else math.prod(self.base))
        if only_reshaped:
            return np.arange(count).reshape(shape[1:])
        at = np.arange(math.prod(self.base), dtype=np.int32).reshape(self.base)
        for kind, how in self.moves:
            at = at.reshape(how) if kind == "reshape" else at.transpose(how)
        first = at[0]
        offsets = np.arange(shape[0], dtype=np.int32).reshape(-1, *[1] * first.ndim) * count
        if not np.array_equal(at, first + offsets):
            raise Refused("it changes which elements belong to an image")
        return first


def image_shape(t: Tensor) -> Shape:
    """The shape of a tensor as N x C x H x W: vectors are images of one pixel, signals N x C x W of one row."""
    return four(t.shape)


def four(shape: Shape) -> Shape:
    """N x C x H x W of a shape of two to four dimensions."""
    if len(shape) == 4:
        return shape
    if len(shape) == 2:
        return (*shape, 1, 1)
    if len(shape) == 3:
        return (*shape[:2], 1, shape[2])
    raise Refused(f"it has {len(shape)} dimensions, N x C x H x W, N x C x W and N x C are known here")


def as_it_lies(t: Tensor) -> bool:
    """Whether the image of a tensor is its variable itself."""
    if not t.moves:
        return True
    if image_shape(t) != t.base:
        return False
    return all(kind == "reshape" for kind, _ in t.moves) or bool(np.all(np.diff(t.order().ravel()) == 1))


def rearrangement(t: Tensor) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]] | None:
    """(axes, size, axes): the permutation, size and permutation, as Permute, Reshape and Permute take them, that make
    the H x W x C image of a tensor of its variable's; None where there are none.
    """
    shape = image_shape(t)
    at = t.order().reshape(shape[1:]).transpose(1, 2, 0)
    base = t.base[1:]
    numbers = np.arange(math.prod(base)).reshape(base).transpose(1, 2, 0)
    for first, last in itertools.product(itertools.permutations(range(3)), repeat=2):
        size = tuple(at.shape[last.index(i)] for i in range(3))
        found = numbers.transpose(first).reshape(size, order="F").transpose(last)
        if np.array_equal(found, at):
            return first, size, last
    return None


def blocks_of_pixels(t: Tensor) -> np.ndarray | None:
    """Filters b x b x C x K of one 1 each, by which a convolution of stride b makes the image of a tensor; else None.

    Whole channels in another order are the case b = 1.
    """
    (c, h, w), (k, rows, columns) = t.base[1:], image_shape(t)[1:]
    if not (rows and columns and h % rows == w % columns == 0 and h // rows == w // columns):
        return None
    b = h // rows
    at = t.order().reshape(k, rows, columns)
    channel, place = np.divmod(at[:, 0, 0], h * w)
    first = np.arange(rows)[:, None] * (b * w) + np.arange(columns) * b
    if not np.array_equal(at, at[:, :1, :1] + first) or np.any(place // w >= b) or np.any(place % w >= b):
        return None
    filters = zeros(b, b, c, k)
    filters[place // w, place % w, channel, np.arange(k)] = 1
    return filters


def pixels_of_blocks(t: Tensor) -> np.ndarray | None:
    """b x b x K x C filters of one 1 each, whose transposed convolution with upsample b makes the image of a tensor."""
    (c, h, w), (k, rows, columns) = t.base[1:], image_shape(t)[1:]
    b = rows // h
    if b < 2 or rows != b * h or columns != b * w or c != k * b * b:
        return None
    at = t.order().reshape(k, h, b, w, b).transpose(0, 2, 4, 1, 3)
    channel = at[..., 0, 0] // (h * w)
    if not np.array_equal(at, channel[..., None, None] * (h * w) + np.arange(h * w).reshape(h, w)):
        return None
    filters = zeros(b, b, k, c)
    for place in np.ndindex(*channel.shape):
        filters[place[1], place[2], place[0], channel[place]] = 1
    return filters


def known(size: Any) -> int | None:
    """A size of getOutputSizes: NaN stands for one that is not known."""
    return int(size) if math.isfinite(size) else None
