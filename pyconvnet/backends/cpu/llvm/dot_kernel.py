"""Inner products of rows of filters with images, written in LLVM IR for fully connected layers.

A few rows meet a few images, whose partial sums stay in registers: so filters are read once, a whole vector at a time,
as fast as memory gives them. There is one function for each number of both, called through a table of addresses, as
those of the matrix kernel, and compiled when first needed.
"""

from __future__ import annotations

from typing import NamedTuple

from llvmlite import ir

from pyconvnet.backends.cpu.llvm.ir import I64, V16, at, fma
from pyconvnet.backends.cpu.llvm.language import op

_ARGUMENTS = "f f_row x x_row vectors sums sums_step".split()
_KIND = ir.FunctionType(ir.VoidType(), [I64] * len(_ARGUMENTS))


class Block(NamedTuple):
    """Rows and images whose sums fit into registers: 16 floats are one of AVX-512's 32, two of AVX2's 16."""

    rows: int
    images: int


BLOCKS = {"avx512": Block(6, 4), "avx2": Block(2, 2)}


def _write(module: ir.Module, rows: int, images: int) -> ir.Function:
    """sums[image][row] += f[row] . x[image], vectors of 16 partial sums each; steps in bytes."""
    fn = ir.Function(module, _KIND, f"dots_{rows}x{images}")
    arg = dict(zip(_ARGUMENTS, fn.args))
    entry, loop, done = (fn.append_basic_block(name) for name in ("entry", "loop", "done"))
    build = ir.IRBuilder(entry)
    grid = [(image, row) for image in range(images) for row in range(rows)]
    starts = [build.add(arg["sums"], build.mul(arg["sums_step"], I64(image))) for image in range(images)]
    places = [at(build, build.add(starts[image], I64(64 * row)), V16) for image, row in grid]
    old = [build.load(place, align=4) for place in places]
    f_rows = [build.add(arg["f"], build.mul(arg["f_row"], I64(row))) for row in range(rows)]
    x_rows = [build.add(arg["x"], build.mul(arg["x_row"], I64(image))) for image in range(images)]
    end = build.mul(arg["vectors"], I64(64))
    build.branch(loop)

    build.position_at_end(loop)
    offset = build.phi(I64)
    offset.add_incoming(I64(0), entry)
    sums = [build.phi(V16) for _ in grid]
    for phi, first in zip(sums, old):
        phi.add_incoming(first, entry)

    def vector(start):
        return build.load(at(build, build.add(start, offset), V16), align=4)

    left, right = [vector(start) for start in f_rows], [vector(start) for start in x_rows]
    new = [fma(build, left[row], right[image], total) for (image, row), total in zip(grid, sums)]
    following = build.add(offset, I64(64))
    offset.add_incoming(following, loop)
    for phi, value in zip(sums, new):
        phi.add_incoming(value, loop)
    build.cbranch(build.icmp_signed("<", following, end), loop, done)

    build.position_at_end(done)
    for value, place in zip(new, places):
        build.store(value, place, align=4)
    build.ret_void()
    return fn


def write_dots(module: ir.Module, most_rows: int, units: set[int]) -> dict[int, ir.Function]:
    """{8 rows + images: function}: the places of the table for up to so many rows, and units of images."""
    return {8 * r + i: _write(module, r, i) for r in range(1, most_rows + 1) for i in sorted(units)}


@op
def call_dots(build, table, rows, images, args):
    """Calls the function for so many of each with (f, f_row, x, x_row, vectors, sums, sums_step); vectors >= 1."""
    slot = build.add(table, build.shl(build.add(build.shl(rows, I64(3)), images), I64(3)))
    build.call(build.load(at(build, slot, _KIND.as_pointer())), args)
