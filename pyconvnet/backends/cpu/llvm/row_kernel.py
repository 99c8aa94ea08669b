"""Sums of rows of filters, weighted by images, written in LLVM IR for fully connected layers.

A few rows of two vectors stay in registers while all images meet them: so filters are read once, and sums seldom.
"""

from __future__ import annotations

from pyconvnet.backends.cpu.llvm.ir import F32, I64, V16, at, build_prefetch, counted, fma, splat
from pyconvnet.backends.cpu.llvm.language import op

ROWS_AT_ONCE, VECTORS = 12, 2  # 24 of AVX-512's 32 registers


@op
def add_rows(build, x, x_row, f, f_row, ahead, y, y_row, images):
    """y[i] += the sum over d = 0 .. ROWS_AT_ONCE - 1 of x[d, i] f[d], for two vectors of f and of y; images >= 1.

    Addresses and steps between rows are in bytes; what lies `ahead` bytes after f is prefetched, 0 for nothing.
    """
    rows = []
    for d in range(ROWS_AT_ONCE):
        places = [build.add(f, build.add(build.mul(f_row, I64(d)), I64(64 * j))) for j in range(VECTORS)]
        rows.append([build.load(at(build, place, V16), align=4) for place in places])
        for place in places:
            build_prefetch(build, build.add(place, ahead), False, far=True)
    with counted(build, images) as i:
        here = build.add(x, build.mul(i, I64(4)))
        start = build.add(y, build.mul(i, y_row))
        targets = [at(build, build.add(start, I64(64 * j)), V16) for j in range(VECTORS)]
        sums = [build.load(target, align=4) for target in targets]
        for d, row in enumerate(rows):
            factor = splat(build, build.load(at(build, build.add(here, build.mul(x_row, I64(d))), F32)), 16)
            sums = [fma(build, vector, factor, total) for vector, total in zip(row, sums)]
        for total, target in zip(sums, targets):
            build.store(total, target, align=4)
