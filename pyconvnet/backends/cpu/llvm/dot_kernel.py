"""Inner products of rows of filters with images, written in LLVM IR for fully connected layers.

A few rows meet a few images, whose partial sums stay in registers: so filters are read once, a whole vector at a time,
as fast as memory gives them. There is one function for each number of images, called through a table of addresses, as
those of the matrix kernel.
"""

from __future__ import annotations

from typing import NamedTuple

from llvmlite import ir

from pyconvnet.backends.cpu.llvm.ir import I64, V16, at, fma
from pyconvnet.backends.cpu.llvm.language import op

_ARGUMENTS = "row0 row1 row2 row3 x x_row vectors sums".split()
_KIND = ir.FunctionType(ir.VoidType(), [I64] * len(_ARGUMENTS))
MOST_ROWS = 4


class Block(NamedTuple):
    """Rows and images whose sums fit into registers: 16 floats are one of AVX-512's 32, two of AVX2's 16."""

    rows: int
    images: int


BLOCKS = {"avx512": Block(4, 4), "avx2": Block(2, 2)}


def _write(module: ir.Module, rows: int, images: int) -> ir.Function:
    """sums[image][row] += row . x[image], vectors of 16 partial sums each; x_row in bytes."""
    fn = ir.Function(module, _KIND, f"dots_{rows}x{images}")
    arg = dict(zip(_ARGUMENTS, fn.args))
    entry, loop, done = (fn.append_basic_block(name) for name in ("entry", "loop", "done"))
    build = ir.IRBuilder(entry)
    grid = [(image, row) for image in range(images) for row in range(rows)]
    places = [at(build, build.add(arg["sums"], I64(64 * (image * rows + row))), V16) for image, row in grid]
    old = [build.load(place, align=4) for place in places]
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

    left, right = [vector(arg[f"row{row}"]) for row in range(rows)], [vector(start) for start in x_rows]
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


def write_dots(module: ir.Module, level: str) -> dict[int, ir.Function]:
    """{number of images: function}: the places of the table for an instruction set."""
    block = BLOCKS[level]
    return {images: _write(module, block.rows, images) for images in range(1, block.images + 1)}


@op
def call_dots(build, table, images, args):
    """Calls the function for so many images with (row0, row1, row2, row3, x, x_row, vectors, sums); vectors >= 1."""
    slot = build.add(table, build.shl(images, I64(3)))
    build.call(build.load(at(build, slot, _KIND.as_pointer())), args)
