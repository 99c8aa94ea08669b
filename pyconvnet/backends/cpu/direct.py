"""Direct convolution: a tile of output pixels x filters is one call of the matrix kernel, summing over filter rows."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from pyconvnet.backends.cpu import bfloat16, filter_cache, hardware
from pyconvnet.backends.cpu.compiled import parallel
from pyconvnet.backends.cpu.hardware import Tile
from pyconvnet.backends.cpu.layout import (
    CACHE_LINE,
    address,
    aligned,
    channels_fastest,
    copy_floats,
    empty,
    empty_at,
    padded,
    scratch,
    streams,
    strides,
)
from pyconvnet.backends.cpu.llvm.matrix_kernel import ACCUMULATE, BIAS, FAR, RELU, STREAM, call_tile
from pyconvnet.backends.cpu.llvm.simd import finish_streams, fload, fstore, vload, vstore
from pyconvnet.geometry import Window
from pyconvnet.threads import parallel_region

# A product of a tile is summed over this many inputs at a time, whose filters then stay in the nearest caches while
# the tiles of a group of pixels pass by; so do the inputs of such a group: tiles of 6 or 14 pixels.
INPUTS_AT_ONCE, TILES_AT_ONCE = 512, {6: 16, 14: 8}
# Elements that the pixels of a line may see together, so that the next line finds them in the second-level cache.
LINE = 1 << 17
# Pixels that lie a multiple of so many floats apart share the 8 places of a set in the first-level cache; so where a
# filter is one tap, a group of them is copied first to lie a cache line further apart.
PAGE = 1024
# Outputs in a row of filters of one row, from which on its ends are computed apart.
LONG = 256
# Floats of filters that stay in the second-level cache; larger ones are prefetched a block ahead.
NEAR = 1 << 16


class Epilogue(NamedTuple):
    """Steps applied to a convolution before it is written: max(scale conv(x, f) + b + add, 0)."""

    scale: np.ndarray | None = None  # K factors, which are multiplied into the filters
    add: np.ndarray | None = None  # an array like the result
    relu: bool = False
    overwrites: bool = False  # whether the result may lie in the memory of `add`


PLAIN = Epilogue()


class Result(NamedTuple):
    """Where a kernel writes a convolution, and how."""

    y: np.ndarray
    memory: tuple[int, int, int]  # addresses of biases, of what is added, 0 for none, and of y
    mode: int  # of BIAS, RELU and STREAM
    held: tuple[np.ndarray | None, ...]  # arrays of `memory`


def result_of(shape: tuple[int, ...], b: np.ndarray | None, after: Epilogue, columns: int) -> Result:
    """For a result of that shape, N x H x W x K, whose pixels are written in pieces of so many channels."""
    bias = None if b is None else np.ascontiguousarray(b)
    old = None if after.add is None else channels_fastest(after.add)
    if old is not None and (after.overwrites or not np.may_share_memory(old, after.add)):
        y, start = old, address(old)
    else:
        y, start = empty_at(shape)
    mode = (BIAS if bias is not None else 0) + (RELU if after.relu else 0)
    mode += STREAM if y is not old and streams(y, columns) else 0
    memory = 0 if bias is None else address(bias), 0 if old is None else address(old), start
    return Result(y, memory, mode, (bias, old))


class OutputGrid(NamedTuple):
    """A strided subset of an image's pixels that output goes to: height, width of the image, (first, step) of each."""

    height: int
    width: int
    rows: tuple[int, int]
    columns: tuple[int, int]

    def number(self, image: np.ndarray | int, i: np.ndarray | int, j: np.ndarray | int) -> np.ndarray:
        """Index of an output pixel among the pixels of all images."""
        (i0, di), (j0, dj) = self.rows, self.columns
        return np.asarray((image * self.height + i0 + di * i) * self.width + j0 + dj * j)


class Lines(NamedTuple):
    """How output pixels find their input: lines of pixels a fixed step apart, and the pieces that a filter meets."""

    starts: np.ndarray  # of each line, the element offset of its input, and the number of its first output pixel
    length: int  # output pixels in a line
    step: int  # elements between the inputs of neighbours in a line
    apart: int  # output pixels between them
    offsets: np.ndarray  # element offset of each piece of the filter
    depth: int  # elements in a piece


def lines_of(
    shape: tuple[int, ...], window: Window, out: tuple[int, int], depth: int, tile: int, place: OutputGrid | None = None
) -> Lines:
    """Lines of a padded N x H x W x C array, for tiles of `tile` pixels; `depth` < C in grouped convolution."""
    n, h, w, c = shape
    (fh, fw), (sh, sw), (dh, dw) = window.size, window.stride, window.dilate
    rows = dh * w * c * np.arange(fh)
    if depth == c and (dw == 1 or fw == 1):  # a filter row meets consecutive memory
        offsets, depth = rows, fw * c
        if fh == 1 or (dh == 1 and fw == w):  # and so does the whole filter
            offsets, depth = rows[:1], fh * fw * c
    else:
        offsets = (rows[:, None] + dw * c * np.arange(fw)).ravel()
    oh, ow = out
    if out == (h, w) and (sh, sw) == (1, 1) and place is None:  # 1 x 1
        return Lines(np.zeros((1, 2), np.int64), n * h * w, c, 1, offsets, depth)
    place = place or OutputGrid(oh, ow, (0, 1), (0, 1))
    # many small images: those are the line
    if full(n, tile) > full(ow, tile) and (out == (1, 1) or n * offsets.size * depth <= LINE):
        i, j = np.arange(oh)[:, None], np.arange(ow)
        starts = np.stack([w * c * sh * i + c * sw * j, place.number(0, i, j)], axis=2)
        return Lines(starts.reshape(-1, 2), n, h * w * c, place.height * place.width, offsets, depth)
    image, i = np.arange(n)[:, None], np.arange(oh)
    starts = np.stack([h * w * c * image + w * c * sh * i, place.number(image, i, 0)], axis=2)
    return Lines(starts.reshape(-1, 2), ow, sw * c, place.columns[1], offsets, depth)


def full(length: int, rows: int) -> float:
    """How full the tiles of a line are."""
    return length / (-(-length // rows) * rows)


def pack(f: np.ndarray, groups: int, columns: int, out: np.ndarray | None = None) -> np.ndarray:
    """f, h x w x c x K, as blocks [group][K / columns][h w c][columns], filled up with zeros; out: memory for them."""
    h, w, c, k = f.shape
    each = k // groups
    sh, sw, sc, sk = strides(f)
    with parallel_region() as threads:
        out = empty((packed_size(f.shape, groups, columns),)) if out is None else out
        _pack(threads, address(f), sh, sw, sc, sk, each * sk, h, w, c, each, groups, columns, address(out))
    return out


def packed_size(shape: tuple[int, ...], groups: int, columns: int) -> int:
    h, w, c, k = shape
    return groups * -(-(k // groups) // columns) * columns * h * w * c


def _packed(
    f: np.ndarray, groups: int, columns: int, old: np.ndarray | None, scale: np.ndarray | None, pairs: bool
) -> np.ndarray:
    """A copy of the packed filters f times `scale`; `old` is memory of that size to write into."""
    f = f if scale is None else f * scale
    f = bfloat16.filters_of_pairs(f) if pairs else f
    return pack(f, groups, columns, aligned(packed_size(f.shape, groups, columns)) if old is None else old)


def direct(
    x: np.ndarray,
    f: np.ndarray,
    b: np.ndarray | None,
    window: Window,
    after: Epilogue = PLAIN,
    groups: int | None = None,
    lasting: bool = True,
) -> np.ndarray:
    """The convolution of `backends.reference.conv.conv` as an N x H x W x K array.

    lasting  whether f are filters, which come again, and not a derivative
    """
    groups = groups or x.shape[2] // f.shape[2]
    pairs = lasting and bfloat16.suits(f)
    tile = bfloat16.tile() if pairs else hardware.tile()
    (h, w, c, n), (fh, fw, depth, count), numbers = x.shape, f.shape, 2 if pairs else 1
    with parallel_region() as threads:
        shapes = (h, w, c // numbers, n), (fh, fw, depth // numbers, count)
        out, parts = _plan(*shapes, window, groups, tile, threads, pairs)
        _, first = _filters(f, groups, tile.columns, after.scale, lasting, pairs)
        result = result_of((x.shape[3], *out, f.shape[3]), b, after, f.shape[3] // groups)
        for part in parts:
            xp = padded(x[:, part.first : part.last], part.pad)
            xp = bfloat16.image_of_pairs(xp, threads) if pairs else xp
            copies = address(scratch("pixels", threads * part.room)) if part.room else 0
            where = address(xp) + 4 * part.skipped, first, *result.memory, copies
            correlate(threads, *tile, *where, part.starts, part.taps, part.sizes, result.mode)
    return result.y


class _Part(NamedTuple):
    """Columns first .. last - 1 of an image, zeros around them, and the results of `schedule` for what they give."""

    first: int
    last: int
    pad: tuple[int, int, int, int]
    skipped: int  # elements before the first that is seen
    starts: np.ndarray
    taps: np.ndarray
    sizes: np.ndarray
    room: int


@lru_cache(maxsize=256)
def _plan(
    shape: tuple[int, ...],
    filters: tuple[int, ...],
    window: Window,
    groups: int,
    tile: Tile,
    threads: int,
    whole: bool,
) -> tuple[tuple[int, int], list[_Part]]:
    """(output size, parts) of a call of `direct`.

    The middle of a long signal is not copied: only its ends meet zeros. Unless it is to be one part, the `whole`.
    """
    (h, w, c, n), (top, bottom, left, right) = shape, window.pad
    oh, ow = window.output_size(h, w)
    sw, extent = window.stride[1], window.extent[1]
    begin, end = -(-left // sw), (w + left - extent) // sw + 1  # outputs that see no zeros
    # (outputs, columns of the image that give them, zeros around these, columns before the first that is seen)
    cuts = [(0, ow, 0, w, window.pad, 0)]
    if not whole and window.size[0] == 1 and not (top or bottom) and (left or right) and end - begin >= LONG:
        cuts = [
            (0, begin, 0, (begin - 1) * sw - left + extent, (0, 0, left, 0), 0),
            (begin, end, 0, w, (0, 0, 0, 0), begin * sw - left),
            (end, ow, end * sw - left, w, (0, 0, 0, right), 0),
        ]
    parts = []
    for j, following, first, last, pad, skipped in cuts:
        if following > j:
            seen = n, h + pad[0] + pad[1], last - first + pad[2] + pad[3], c
            place = OutputGrid(oh, ow, (0, 1), (j, 1)) if len(cuts) > 1 else None
            lines = lines_of(seen, window, (oh, following - j), filters[2], tile.rows, place)
            plan = schedule(lines, filters, groups, tile, threads)
            parts.append(_Part(first, last, pad, skipped * c, *plan))
    return (oh, ow), parts


def schedule(lines: Lines, filters: tuple[int, ...], groups: int, tile: Tile, threads: int):
    """(line starts, taps, sizes, floats for each thread's copies of pixels) for `correlate`."""
    depth, count = filters[2:]
    taps = np.stack([lines.offsets, lines.depth * tile.columns * np.arange(lines.offsets.size)], axis=1)
    tiles = len(lines.starts) * -(-lines.length // tile.rows)
    # a thread has some of the tiles to do; or some of the filters, where these are more than the pixels
    at_once = tiles if tiles * tile.rows < count // groups else -(-tiles // threads)
    at_once = min(TILES_AT_ONCE[tile.rows], at_once)
    room = 0
    if lines.step % PAGE == 0 and lines.offsets.size == 1:
        room = at_once * tile.rows * (min(lines.depth, INPUTS_AT_ONCE) + CACHE_LINE)
    sizes = lines.length, lines.step, lines.apart, lines.depth, groups, depth, count // groups, at_once, room
    return lines.starts, taps, np.array(sizes), room


def _filters(
    f: np.ndarray, groups: int, columns: int, scale: np.ndarray | None, lasting: bool, pairs: bool
) -> tuple[np.ndarray, int]:
    """(f times `scale`, packed, its address), kept from call to call if that saves time; pairs: see bfloat16.py."""
    if not lasting or not filter_cache.worth_keeping(f):
        packed = pack(f if scale is None else f * scale, groups, columns)
        return packed, address(packed)
    kind = "bfloat16" if pairs else "direct", groups, columns
    return filter_cache.get(kind, f, lambda old: _packed(f, groups, columns, old, scale, pairs), scale)


@parallel
def correlate(t, threads, kernel, mr, nr, x, f, b, old, y, copies, starts, taps, sizes, mode):
    """The convolution itself, as `schedule` laid it out; x, f, b, old, y, copies are addresses, 0 for none."""
    length, step, apart, depth, groups, slab, each, at_once, room = sizes
    blocks = -(-each // nr)
    per_line = -(-length // mr)
    tiles, columns = len(starts) * per_line, groups * blocks
    count, panel = groups * each, taps.shape[0] * depth * nr
    pieces = -(-depth // INPUTS_AT_ONCE)  # of a deep tap; of shallow ones, some are summed at once
    some = max(1, INPUTS_AT_ONCE // depth)
    deep = -(-depth // pieces)
    chunks = taps.shape[0] * pieces if pieces > 1 else -(-taps.shape[0] // some)
    rounds = -(-tiles // at_once)
    total = rounds * columns
    least, more = length // per_line, length % per_line  # pixels of a tile, and how many tiles of a line have one more
    contiguous, near = step == depth and pieces == 1, columns * panel <= NEAR
    if chunks > 1 and mode >= STREAM:  # what is written is read again
        mode -= STREAM
    for r in range(total * t // threads // columns, -(-(total * (t + 1) // threads) // columns)):
        first_column = max(0, total * t // threads - r * columns)
        last_column = min(columns, total * (t + 1) // threads - r * columns)
        first_tile, last_tile = tiles * r // rounds, tiles * (r + 1) // rounds
        units = max(1, last_tile - first_tile)
        first_line, first_i = first_tile // per_line, first_tile % per_line
        for chunk in range(chunks):
            first_tap = chunk // pieces if pieces > 1 else chunk * some
            many = 1 if pieces > 1 else min(some, taps.shape[0] - first_tap)
            start = chunk % pieces * deep
            now = min(deep, depth - start)
            how = FAR + (mode if chunk == chunks - 1 else 0)
            if chunk > 0 or old != 0:
                how += ACCUMULATE
            pitch = now + CACHE_LINE
            fetched, fetched_k = 4 * (many * now * nr // units), 4 * nr // units
            for column in range(first_column, last_column):
                g = column // blocks
                k = (column - g * blocks) * nr
                line, i = first_line, first_i
                first = i * least + min(i, more)
                for q in range(first_tile, last_tile):
                    last = first + least + (1 if i < more else 0)
                    a, a_row = x + 4 * (starts[line, 0] + first * step + g * slab + start), step
                    if room > 0:
                        copy = copies + 4 * (t * room + (q - first_tile) * mr * pitch)
                        if k == 0 or column == first_column:
                            for j in range(last - first):
                                copy_floats(copy + 4 * j * pitch, a + 4 * j * step, now)
                        a, a_row = copy, pitch
                    if not near:  # prefetch the next filters,
                        ahead = f + 4 * ((column + 1) * panel + start * nr) + fetched * (q - first_tile)
                        ahead_k = fetched_k
                    elif contiguous and column == first_column:  # or the next pixels
                        ahead, ahead_k = a + 4 * (last - first) * step, 4 * (last - first)
                    else:
                        ahead, ahead_k = 0, 0
                    c = 4 * ((starts[line, 1] + first * apart) * count + g * each + k)
                    call_tile(
                        kernel,
                        last - first,
                        min(nr, each - k),
                        a,
                        a_row,
                        1,
                        taps.ctypes.data + 16 * first_tap,
                        many,
                        now,
                        f + 4 * (column * panel + start * nr),
                        nr,
                        y + c,
                        apart * count,
                        (y if chunk > 0 else old) + c,
                        b + 4 * (g * each + k),
                        how,
                        ahead,
                        ahead_k,
                    )
                    first, i = last, i + 1
                    if i == per_line:
                        first, i, line = 0, 0, line + 1
    finish_streams()


@parallel
def _pack(t, threads, f, sh, sw, sc, sk, sg, h, w, c, each, groups, nr, out):
    blocks = -(-each // nr)
    taps = h * w
    total = groups * blocks * taps
    for q in range(total * t // threads, total * (t + 1) // threads):
        block = q // taps
        tap = q - block * taps
        g = block // blocks
        k = (block - g * blocks) * nr
        count = min(nr, each - k)
        i = tap // w
        source = f + 4 * (g * sg + k * sk + i * sh + (tap - i * w) * sw)
        target = out + 4 * q * c * nr
        if sk == 1 and count == nr:
            for d in range(c):
                for v in range(0, nr, 16):
                    vstore(target + 4 * (d * nr + v), vload(source + 4 * (d * sc + v)))
            continue
        for d in range(c):
            for v in range(nr):
                value = fload(source + 4 * (d * sc + v * sk)) if v < count else np.float32(0)
                fstore(target + 4 * (d * nr + v), value)
