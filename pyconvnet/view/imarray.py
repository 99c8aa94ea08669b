"""Many images side by side in one: VLFeat's vl_imarray and vl_imarraysc."""

from __future__ import annotations

from math import ceil, sqrt
from typing import Any

import numpy as np

from pyconvnet.arrays import is_empty, size_text
from pyconvnet.options import matlab_options
from pyconvnet.values import as_array, flag, numbers, whole_number, whole_numbers


@matlab_options()
def vl_imarray(
    A: np.ndarray, *, spacing: int = 0, layout: Any = None, reverse: bool = False, movie: bool = False, cmap: Any = None
) -> np.ndarray | list[np.ndarray]:
    """Images side by side as tiles of one, with their values as they are.

    vl_imarray(A) -> J      A: H x W x K              J: rows H x columns W    (H x W x 3 are three grey images)
                            A: H x W x 3 x K          J: rows H x columns W x 3
                            A: H x W x K x 3          likewise
                            A: H x W x K x 1          as H x W x K: MATLAB drops the last dimension (3 channels: colour)
                            A: H x W x 1 x K          as H x W x K (MATLAB's function refuses it)

    Tiles are filled from left to right and top to bottom; J has A's element type.

    spacing  pixels between tiles, zeros
    layout   (rows, columns); images that find no place are left out. As a rule columns = ceil(sqrt(K))
    reverse  fill the rows from the bottom
    movie    a list of the K images instead
    cmap     accepted for MATLAB's sake: J is returned, never shown

    Raises ValueError for arrays of other sizes.
    Source: VLFeat, vl_imarray.

    >>> vl_imarray(np.arange(8).reshape(1, 2, 4, order="F"), spacing=1)
    array([[0, 1, 0, 2, 3],
           [0, 0, 0, 0, 0],
           [4, 5, 0, 6, 7]])
    """
    tiles = _tiles("vl_imarray", A)
    if flag("vl_imarray: movie", movie):
        return [_flat(tile) for tile in np.moveaxis(tiles, 3, 0)]
    spacing, reverse = whole_number("vl_imarray: spacing", spacing, 0), flag("vl_imarray: reverse", reverse)
    h, w, channels, count = tiles.shape
    rows, columns = _layout(layout, count)
    J = np.zeros((h * rows + spacing * (rows - 1), w * columns + spacing * (columns - 1), channels), tiles.dtype)
    for k in range(min(count, rows * columns)):
        i, j = divmod(k, columns)
        i = rows - 1 - i if reverse else i
        J[i * (h + spacing) :, j * (w + spacing) :][:h, :w] = tiles[..., k]
    return _flat(J)


@matlab_options()
def vl_imarraysc(
    A: np.ndarray,
    *,
    clim: Any = None,
    uniform: bool = False,
    spacing: int = 0,
    layout: Any = None,
    reverse: bool = False,
    movie: bool = False,
    cmap: Any = None,
) -> np.ndarray | list[np.ndarray]:
    """Images side by side as tiles of one, each scaled from 0 to 1.

    vl_imarraysc(A) -> J    sizes and further options as vl_imarray; J: values in 0..1

    Every tile is scaled by itself: (tile - low) / (high - low) with low and high its least and largest value, over all
    channels of a colour tile. A constant tile becomes 0. Single and double are kept; integers become single.

    clim     (low, high) for all tiles; values outside are clipped
    uniform  low and high are those of all tiles together; not together with clim
    cmap     a colour map, M x 3: grey tiles become its row numbers 1..M. (VLFeat's function always returns those, for
             the map of the current figure unless told otherwise)

    Raises ValueError for arrays of other sizes, and for clim together with uniform.
    Source: VLFeat, vl_imarraysc.
    """
    tiles = _tiles("vl_imarraysc", A)
    if tiles.dtype.kind not in "buif":
        raise TypeError(f"vl_imarraysc: A must be numbers, got {tiles.dtype}")
    uniform = flag("vl_imarraysc: uniform", uniform)
    if uniform and not is_empty(clim):
        raise ValueError("vl_imarraysc: give uniform or clim, not both")
    tiles = tiles.astype(np.float32) if tiles.dtype.kind in "bui" else tiles
    if not is_empty(clim):
        low, high = (tiles.dtype.type(v) for v in numbers("vl_imarraysc: clim", clim, "[low, high]"))
    else:
        # As MATLAB's min and max these pass over NaN.
        axes = None if uniform else (0, 1, 2)
        low, high = np.fmin.reduce(tiles, axis=axes), np.fmax.reduce(tiles, axis=axes)
    span = np.where(high > low, high - low, 1).astype(tiles.dtype)
    scaled = np.clip((tiles - low) / span, 0, 1)
    if not is_empty(cmap) and tiles.shape[2] == 1:
        colours = as_array(cmap)
        if colours.ndim != 2 or colours.shape[1] != 3:
            raise ValueError(f"vl_imarraysc: cmap must be M x 3 numbers, got {size_text(colours.shape)}")
        levels = len(colours)
        scaled = np.clip(np.floor(scaled * levels) + 1, 1, levels)
    return vl_imarray(scaled, spacing=spacing, layout=layout, reverse=reverse, movie=movie)


def _tiles(fn: str, A: np.ndarray) -> np.ndarray:
    """H x W x channels x K of any of the accepted shapes."""
    A = as_array(A)
    if not A.size:
        raise ValueError(f"{fn}: A has no pixels, its size is {size_text(A.shape)}")
    if A.ndim in (2, 3):
        tiles = A.reshape(A.shape[0], A.shape[1], 1, -1)
    elif A.ndim == 4 and A.shape[2] in (1, 3):
        tiles = A
    elif A.ndim == 4 and A.shape[3] == 1:
        tiles = A.transpose(0, 1, 3, 2)
    elif A.ndim == 4 and A.shape[3] == 3:
        tiles = A.transpose(0, 1, 3, 2)
    else:
        raise ValueError(f"{fn}: A must be H x W x K, H x W x 3 x K or H x W x K x 3, got {size_text(A.shape)}")
    return tiles


def _flat(J: np.ndarray) -> np.ndarray:
    return J[:, :, 0] if J.shape[2] == 1 else J


def _layout(layout: Any, count: int) -> tuple[int, int]:
    if is_empty(layout):
        columns = ceil(sqrt(count))
        return ceil(count / columns), columns
    rows, columns = whole_numbers("vl_imarray: layout", layout, (2,), 1)
    return rows, columns
