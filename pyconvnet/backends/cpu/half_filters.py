"""Fully connected layers whose filters are kept in half precision, so that half as much memory is read.

Only of filters that nobody can write to (`pyconvnet.deploy`), and with `set_precision("half")` or "bfloat16". They are
rounded once, to 11 bits, after multiplication by a power of two that keeps them from the ends of half precision's
range.
"""

from __future__ import annotations

import numpy as np

from pyconvnet.backends.cpu import filter_cache
from pyconvnet.backends.cpu.compiled import parallel
from pyconvnet.backends.cpu.layout import CACHE_LINE, address, aligned, zeros
from pyconvnet.backends.cpu.llvm.simd import (
    fload,
    vfma,
    vload,
    vload_half,
    vload_part,
    vmul,
    vset1,
    vstore,
    vstore_half,
)
from pyconvnet.precision import get_precision
from pyconvnet.threads import parallel_region

COLUMNS = 64  # rows of filters are filled up with zeros to a multiple of this
LARGEST = 14  # filters are below 2 to this power


def kept(f: np.ndarray) -> tuple[int, np.float32] | None:
    """(address of the filters f in half precision, the factor that their products are multiplied by); None: not so."""
    if get_precision() not in ("half", "bfloat16") or not filter_cache.lasts(f):
        return None
    made, start = filter_cache.get(("half",), f, lambda old: _in_half(f, old))
    factor = made[0]
    return (start + 4 * CACHE_LINE, factor) if factor > 0 else None


def times_rows(x: np.ndarray, f: int, count: int) -> np.ndarray:
    """x f, of n x D, contiguous, by D x count at an address, as parts x n x count whose sum it is."""
    n, depth = x.shape
    with parallel_region() as threads:
        row = _row(count)
        y = zeros((threads, n, row + CACHE_LINE))
        _add_halves(threads, address(x), f, address(y), n, depth, row)
    return y[:, :, :count]


def _row(count: int) -> int:
    return -(-count // COLUMNS) * COLUMNS


def _in_half(f: np.ndarray, old: np.ndarray | None) -> np.ndarray:
    """A cache line whose first number is the factor, and rows of filters; the factor is 0 where this cannot be done."""
    count = f.shape[3]
    rows = np.ascontiguousarray(f.reshape(-1, count))
    largest = max(float(rows.max()), -float(rows.min()))
    made = aligned(CACHE_LINE + rows.shape[0] * _row(count) // 2) if old is None else old
    made[0] = 0
    if np.isfinite(largest):
        power = LARGEST - int(np.frexp(largest)[1]) if largest > 0 else 0
        if abs(power) < 126:  # both factors are normal numbers
            with parallel_region() as threads:
                target = address(made) + 4 * CACHE_LINE
                _halve(threads, address(rows), target, *rows.shape, _row(count), np.float32(2.0**power))
            made[0] = 2.0**-power
    return made


@parallel
def _halve(t, threads, f, out, depth, count, row, scale):
    factor = vset1(scale)
    for d in range(depth * t // threads, depth * (t + 1) // threads):
        for k in range(0, row, 16):
            v = vload_part(f + 4 * (d * count + k), max(0, min(16, count - k)), np.float32(0))
            vstore_half(out + 2 * (d * row + k), vmul(v, factor))


@parallel
def _add_halves(t, threads, x, f, y, n, depth, row):
    """y[thread, i] = the sum of x[i, d] f[d]; a thread takes some d, eight at a time."""
    first, last = depth * t // threads, depth * (t + 1) // threads
    for d in range(first, last, 8):
        rows = min(8, last - d)
        for k in range(0, row, COLUMNS):
            for i in range(n):
                value, at, target = (
                    x + 4 * (i * depth + d),
                    f + 2 * (d * row + k),
                    y + 4 * ((t * n + i) * (row + CACHE_LINE) + k),
                )
                s0, s1, s2, s3 = vload(target), vload(target + 64), vload(target + 128), vload(target + 192)
                for _ in range(rows):
                    v = vset1(fload(value))
                    s0, s1 = vfma(vload_half(at), v, s0), vfma(vload_half(at + 32), v, s1)
                    s2, s3 = vfma(vload_half(at + 64), v, s2), vfma(vload_half(at + 96), v, s3)
                    value += 4
                    at += 2 * row
                vstore(target, s0)
                vstore(target + 64, s1)
                vstore(target + 128, s2)
                vstore(target + 192, s3)
