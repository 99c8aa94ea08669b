"""Convolutions whose factors are rounded to bfloat16: CPUs with AVX512-BF16 multiply twice as many at a time.

Only with filters that nobody can write to (`pyconvnet.deploy`), and with `set_precision("bfloat16")`. Two channels that
lie side by side make a pair, as large as a float: images and filters of pairs go the ways of `direct`, and only the
matrix kernel knows that they are pairs. Sums and results are floats.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from pyconvnet.backends.cpu import filter_cache, hardware
from pyconvnet.backends.cpu.compiled import parallel, table_of
from pyconvnet.backends.cpu.hardware import Tile
from pyconvnet.backends.cpu.layout import address, scratch
from pyconvnet.backends.cpu.llvm.bfloat16 import fstore_bfloat16, vstore_bfloat16
from pyconvnet.backends.cpu.llvm.matrix_kernel import REGISTERS, write_tiles
from pyconvnet.backends.cpu.llvm.simd import fload, vload
from pyconvnet.precision import get_precision

CHANNELS = 16  # that filters have at least


def suits(f: np.ndarray) -> bool:
    """Whether convolution by these filters, if it is a direct one, is computed so."""
    if get_precision() != "bfloat16" or f.shape[2] < CHANNELS or f.shape[2] % 2 or not hardware.has_bfloat16():
        return False
    return filter_cache.lasts(f) and filter_cache.worth_keeping(f)


@lru_cache(maxsize=1)
def tile() -> Tile:
    """The matrix kernel for pairs."""
    rows, lanes = REGISTERS["avx512"]
    table = table_of("tiles.bfloat16", lambda module: write_tiles(module, "avx512", pairs=True), lanes, as_written=True)
    return Tile(table, rows, 2 * lanes)


def image_of_pairs(x: np.ndarray, threads: int) -> np.ndarray:
    """x, N x H x W x C and contiguous, as N x H x W x C / 2 pairs; only inside a `parallel_region`."""
    n, h, w, c = x.shape
    out = scratch("pairs", x.size // 2)
    _rounded(threads, address(x), address(out), x.size)
    return out.reshape(n, h, w, c // 2)


def filters_of_pairs(f: np.ndarray) -> np.ndarray:
    """f, h x w x C x K, as h x w x C / 2 x K pairs; to even where two numbers are as near, as the processor rounds."""
    bits = np.ascontiguousarray(f).view(np.uint32)
    rounded = np.where(np.isnan(f), np.uint32(0x7FC0), (bits + (0x7FFF + (bits >> 16 & 1))) >> 16)
    return (rounded[:, :, 1::2] << 16 | rounded[:, :, ::2]).astype(np.uint32).view(np.float32)


@parallel
def _rounded(t, threads, x, y, count):
    vectors = -(-count // 16)
    for i in range(16 * (vectors * t // threads), min(count, 16 * (vectors * (t + 1) // threads)), 16):
        if count - i < 16:
            for k in range(i, count):
                fstore_bfloat16(y + 2 * k, fload(x + 4 * k))
        else:
            vstore_bfloat16(y + 2 * i, vload(x + 4 * i))
