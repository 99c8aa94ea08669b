"""Inner products of rows of filters with images, written in LLVM IR for fully connected layers.

A few rows meet a few images, whose partial sums stay in registers: so filters are read once, a whole vector at a time,
as fast as memory gives them. There is one function for each number of images; a C function writes their addresses into
a table, as those of the matrix kernel.
"""

from __future__ import annotations

from typing import NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from pyconvnet.backends.cpu.llvm.ir import F32, I64, at, fma

_V16 = ir.VectorType(F32, 16)
_ARGUMENTS = "row0 row1 row2 row3 x x_row vectors sums".split()
_KIND = ir.FunctionType(ir.VoidType(), [I64] * len(_ARGUMENTS))
MOST_ROWS, SLOTS = 4, 8


class Block(NamedTuple):
    """Rows and images whose sums fit into registers: 16 floats are one of AVX-512's 32, two of AVX2's 16."""

    rows: int
    images: int


BLOCKS = {"avx512": Block(4, 4), "avx2": Block(2, 2)}


def _write(module: ir.Module, rows: int, images: int) -> ir.Function:
    """sums[image][row] += row . x[image], vectors of 16 partial sums each; x_row in bytes."""
    fn = ir.Function(module, _KIND, f"dots_{rows}x{images}")
    fn.linkage = "internal"
    fn.attributes.add("noinline")
    arg = dict(zip(_ARGUMENTS, fn.args))
    entry, loop, done = (fn.append_basic_block(name) for name in ("entry", "loop", "done"))
    build = ir.IRBuilder(entry)
    grid = [(image, row) for image in range(images) for row in range(rows)]
    places = [at(build, build.add(arg["sums"], I64(64 * (image * rows + row))), _V16) for image, row in grid]
    old = [build.load(place, align=4) for place in places]
    x_rows = [build.add(arg["x"], build.mul(arg["x_row"], I64(image))) for image in range(images)]
    end = build.mul(arg["vectors"], I64(64))
    build.branch(loop)

    build.position_at_end(loop)
    offset = build.phi(I64)
    offset.add_incoming(I64(0), entry)
    sums = [build.phi(_V16) for _ in grid]
    for phi, first in zip(sums, old):
        phi.add_incoming(first, entry)

    def vector(start):
        return build.load(at(build, build.add(start, offset), _V16), align=4)

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


def _intrinsic_of(block: Block):
    @intrinsic
    def fill(context, table):
        """Writes the addresses of the functions for 1, 2, .. images to a table at an address, from its second place."""

        def code(ctx, build, signature, args):
            for images in range(1, block.images + 1):
                slot = at(build, build.add(args[0], I64(8 * images)), I64)
                build.store(build.ptrtoint(_write(build.module, block.rows, images), I64), slot)
            return ctx.get_dummy_value()

        return types.void(types.int64), code

    return fill


@intrinsic
def call_dots(context, table, images, args):
    """Calls the function for so many images with (row0, row1, row2, row3, x, x_row, vectors, sums); vectors >= 1."""

    def code(ctx, build, signature, given):
        slot = build.add(given[0], build.shl(given[1], I64(3)))
        fn = build.load(at(build, slot, _KIND.as_pointer()))
        build.call(fn, cgutils.unpack_tuple(build, given[2]))
        return ctx.get_dummy_value()

    return types.void(types.int64, types.int64, types.UniTuple(types.int64, len(_ARGUMENTS))), code


_fill_avx512, _fill_avx2 = (_intrinsic_of(BLOCKS[level]) for level in ("avx512", "avx2"))


def _avx512(table):
    _fill_avx512(table)


def _avx2(table):
    _fill_avx2(table)


FILL = {"avx512": _avx512, "avx2": _avx2}  # functions that fill a table of SLOTS, to be compiled
