"""LazyArray: an array of images that stays in its file, of which parts are read as they are asked for."""

from __future__ import annotations

import os
from math import prod
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from pyconvnet.formats.mat import chunks


class Table(NamedTuple):
    """Where the pieces of a dataset stand: its chunks in the order of their images, or one piece without chunks."""

    rows: np.ndarray
    """of each chunk, the first of its images divided by the images in a chunk; in ascending order"""
    corners: np.ndarray
    """its first element in the other dimensions of the dataset"""
    addresses: np.ndarray
    sizes: np.ndarray
    masks: np.ndarray
    """bits of the filters that were left out"""
    chunk: tuple[int, ...]
    """elements of a chunk in each dimension of the dataset; () where there are no chunks"""
    filters: list[Any]


class LazyArray(NDArrayOperatorsMixin):
    """An array H x W x C x N in a file, of which `data[:, :, :, batch]` reads the images in `batch` and no others.

    shape, dtype, ndim and size are those of the array. Indexes are numpy's, and so is what they give: the last may be a
    number, a slice, numbers in any order and repeated, negative ones, or a mask; `data[..., batch]` is short for it.
    What it gives is an array of its own in MATLAB's order; for a batch, memory takes that, and one chunk of the file.

    The file is opened for each reading and is not kept open, so that threads and processes, forked or started anew,
    may read at once. There is no arithmetic: `data - mean` would read everything (TypeError). OSError where the file
    is not there any more, ValueError where it was changed since.
    """

    __iter__ = None  # numpy would go along the first dimension, pixel row by pixel row
    ndim = 4

    def __init__(
        self, path: str, size: tuple[int, ...], dtype: np.dtype, stored: np.dtype, table: Table, fill: Any
    ) -> None:
        """size: of the dataset, N x C x W x H or N x W x H; stored: the type that it has in the file"""
        self.path, self.dtype, self._image = os.path.abspath(path), np.dtype(dtype), size[1:]
        self.shape = (*size[:0:-1], size[0]) if len(size) == 4 else (*size[:0:-1], 1, size[0])
        self._stored, self._table, self._fill = stored, table, fill
        found = os.stat(path)
        self._stamp = found.st_size, found.st_mtime_ns

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes that all of it would take in memory."""
        return self.size * self.dtype.itemsize

    def __repr__(self) -> str:
        return f"LazyArray({'x'.join(map(str, self.shape))} {self.dtype}, read from {os.path.basename(self.path)})"

    def __getitem__(self, key: Any) -> Any:
        keys = self._full(key)
        try:
            last = np.arange(self.shape[3])[keys[3]]  # whatever numpy takes
        except IndexError as error:
            raise IndexError(f"LazyArray: {str(error).replace('axis 0', 'axis 3')}") from None
        images = self._images(np.ravel(last))
        if not last.ndim:
            return images[(*keys[:3], 0)]
        if isinstance(keys[3], slice):
            return images if keys[:3] == (slice(None),) * 3 else images[(*keys[:3], slice(None))]
        if last.ndim == 1 and keys[:3] == (slice(None),) * 3:
            return images
        return images[(*keys[:3], np.arange(last.size).reshape(last.shape))]

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(self._refusal("numpy"))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        raise TypeError(self._refusal(getattr(ufunc, "__name__", "numpy")))

    @property
    def has_three_dimensions(self) -> bool:
        """Whether the file has H x W x N, which may be one image H x W x C as well."""
        return len(self._image) == 2

    # --- reading ------------------------------------------------------------------------------------------------

    def _refusal(self, what: str) -> str:
        return (
            f"{what} would read all of {self!r}, {self.nbytes / 1e6:.0f} MB: images.data of load_imdb(lazy=True) is "
            "read by index; data[:, :, :, batch] gives an array, data[...] all of it"
        )

    def _full(self, key: Any) -> tuple[Any, ...]:
        """An index for each of the four dimensions."""
        keys = list(key) if isinstance(key, tuple) else [key]
        if any(k is None for k in keys):
            raise IndexError("LazyArray: an index adds no dimensions; read the images first")
        dots = [i for i, k in enumerate(keys) if k is Ellipsis]
        many = any(isinstance(k, np.ndarray) and k.dtype == bool and k.ndim > 1 for k in keys)
        if len(dots) > 1 or len(keys) - len(dots) > 4 or many:
            raise IndexError(f"LazyArray: an index must have one part for each of 4 dimensions at most, got {key!r}")
        at = dots[0] if dots else len(keys)
        rest = keys[at + 1 :]
        return (*keys[:at], *[slice(None)] * (4 - at - len(rest)), *rest)

    def _images(self, wanted: np.ndarray) -> np.ndarray:
        """H x W x C x n for the n images wanted."""
        data = np.empty((wanted.size, *self._image), self._stored)
        with open(self.path, "rb", buffering=0) as file:
            found = os.fstat(file.fileno())
            if (found.st_size, found.st_mtime_ns) != self._stamp:
                raise ValueError(f"{self.path} was changed since load_imdb opened it; load it again")
            if data.size and self._table.chunk:
                data[...] = self._fill  # of what was never written
                self._chunked(file, wanted, data)
            elif data.size:
                self._whole(file, wanted, data)
        y = data.T if data.ndim == 4 else data.T[:, :, None]
        return y if y.dtype == self.dtype else y.astype(self.dtype)

    def _whole(self, file: BinaryIO, wanted: np.ndarray, data: np.ndarray) -> None:
        """Images one after another in one piece: runs of them are read at once."""
        image, start = data[0].nbytes, int(self._table.addresses[0])
        for run in np.split(np.arange(wanted.size), np.flatnonzero(np.diff(wanted) != 1) + 1):
            file.seek(start + int(wanted[run[0]]) * image)
            self._into(file, data[run[0] : run[-1] + 1])

    def _chunked(self, file: BinaryIO, wanted: np.ndarray, data: np.ndarray) -> None:
        """Each chunk that has some of the images is read once."""
        table, size = self._table, prod(self._table.chunk) * self._stored.itemsize
        rows = wanted // table.chunk[0]
        for row in np.unique(rows):
            targets = np.flatnonzero(rows == row)
            inside = wanted[targets] - row * table.chunk[0]
            for i in range(*np.searchsorted(table.rows, (row, row + 1))):
                file.seek(int(table.addresses[i]))
                packed = np.empty(int(table.sizes[i]), np.uint8)
                self._into(file, packed)
                content = chunks.restored(packed.tobytes(), int(table.masks[i]), table.filters, size, self.path)
                chunk: Any = np.frombuffer(content, self._stored).reshape(table.chunk)
                place: Any = tuple(slice(a, a + c) for a, c in zip(table.corners[i], table.chunk[1:]))
                room = data[(0, *place)].shape  # the last chunks may reach beyond the array
                data[(targets, *place)] = chunk[(inside, *map(slice, room))]

    def _into(self, file: BinaryIO, target: np.ndarray) -> None:
        view = memoryview(target.data).cast("B")
        done = 0
        while done < len(view):
            count = file.readinto(view[done:])  # type: ignore[attr-defined]
            if not count:
                raise ValueError(f"{self.path} ends in the middle of its images: it is damaged")
            done += count


def of_dataset(path: str, item: Any, made: Any, stored: np.dtype, dtype: np.dtype, chunked: bool) -> LazyArray:
    """The array in a dataset of h5py, whose type and size are checked; the first of its dimensions counts images.

    made is what the dataset was created with, stored the type in the file, dtype that of the array.
    """
    table = _table(item, made) if chunked else _one_piece(item)
    return LazyArray(path, item.shape, dtype, stored, table, item.fillvalue)


def _one_piece(item: Any) -> Table:
    place = item.id.get_offset()
    if place is None:
        raise ValueError(f"{item.name} was never written, or stands in a way that is not read")
    none = np.zeros(1, int)
    return Table(none, none[:, None], np.array([place]), np.array([item.nbytes]), none, (), [])


def _table(item: Any, made: Any) -> Table:
    chunk, filters, found = made.get_chunk(), chunks.filters(item, made), chunks.places(item)
    if not found:
        none = np.zeros(0, int)
        return Table(none, none[:, None], none, none, none, chunk, filters)
    corners, addresses, sizes, masks = map(np.array, zip(*found))
    size = prod(chunk) * item.dtype.itemsize
    if (sizes > item.file.id.get_filesize()).any() or not (filters or (sizes == size).all()):
        raise ValueError(f"a chunk of {item.name} has other than {size} bytes: the file is damaged")
    addresses += _base(item, found[0][0], found[0][1])
    order = np.argsort(corners[:, 0], kind="stable")
    rows = corners[order, 0] // chunk[0]
    return Table(rows, corners[order, 1:], addresses[order], sizes[order], masks[order], chunk, filters)


def _base(item: Any, corner: tuple[int, ...], address: int) -> int:
    """What addresses of chunks count from: the start of the file, or behind the 512 bytes that MATLAB puts there, as
    the release of HDF5 has it."""
    _, content = item.id.read_direct_chunk(corner)
    with open(item.file.filename, "rb") as file:
        for base in (0, item.file.userblock_size):
            file.seek(address + base)
            if file.read(len(content)) == content:
                return base
    raise ValueError(f"the chunks of {item.name} do not stand where the file says: it is damaged")
