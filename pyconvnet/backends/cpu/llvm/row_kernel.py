"""Sums of rows of filters, weighted by images, written in LLVM IR for fully connected layers.

Sums of some columns of a few images stay in registers while they go through some rows: so filters are read once, as
they lie, and sums seldom. There is one function for each number of images, called through a table of addresses, as
those of the matrix kernel; it goes from one place of columns to the next by itself: a call for each takes too long.
"""

from __future__ import annotations

from llvmlite import ir

from pyconvnet.backends.cpu.llvm.ir import F32, I64, V16, at, build_prefetch, fma, splat, zeros
from pyconvnet.backends.cpu.llvm.language import op

_ARGUMENTS = "x x_row f f_row rows places sums sums_step adds ahead".split()
_KIND = ir.FunctionType(ir.VoidType(), [I64] * len(_ARGUMENTS))

MOST_AT_ONCE = {"avx512": 16, "avx2": 6}  # images


def vectors(level: str, images: int) -> int:
    """How many vectors of 16 columns have registers for the sums of so many images."""
    return 2 if level == "avx512" and images <= 12 else 1


def _write(module: ir.Module, vectors: int, images: int) -> ir.Function:
    """sums[place][image] = the sum of x[row][image] f[row] at this place, `vectors` to a place; steps in bytes.

    Where `adds` is not 0 it is added to what is there. What lies `ahead` bytes further along the rows is prefetched.
    """
    fn = ir.Function(module, _KIND, f"rows_{vectors}x{images}")
    arg = dict(zip(_ARGUMENTS, fn.args))
    names = "entry place old start loop done end".split()
    entry, place, old, start, loop, done, end = map(fn.append_basic_block, names)
    grid = [(image, j) for image in range(images) for j in range(vectors)]
    zero = zeros(V16)
    build = ir.IRBuilder(entry)
    build.branch(place)

    build.position_at_end(place)
    left, columns, sums = (build.phi(I64) for _ in range(3))
    for phi, name in ((left, "places"), (columns, "f"), (sums, "sums")):
        phi.add_incoming(arg[name], entry)
    targets = [at(build, build.add(sums, I64(64 * (image * vectors + j))), V16) for image, j in grid]
    build.cbranch(build.icmp_signed("!=", arg["adds"], I64(0)), old, start)
    build.position_at_end(old)
    before = [build.load(target, align=4) for target in targets]
    build.branch(start)
    build.position_at_end(start)
    first = [build.phi(V16) for _ in grid]
    for phi, value in zip(first, before):
        phi.add_incoming(zero, place)
        phi.add_incoming(value, old)
    build.branch(loop)

    build.position_at_end(loop)
    row, x, f = (build.phi(I64) for _ in range(3))
    totals = [build.phi(V16) for _ in grid]
    for phi, value in ((row, I64(0)), (x, arg["x"]), (f, columns), *zip(totals, first)):
        phi.add_incoming(value, start)
    places = [build.add(f, I64(64 * j)) for j in range(vectors)]
    for where in places:
        build_prefetch(build, build.add(where, arg["ahead"]), False, far=True)
    right = [build.load(at(build, where, V16), align=4) for where in places]
    factors = [splat(build, build.load(at(build, build.add(x, I64(4 * i)), F32)), 16) for i in range(images)]
    new = [fma(build, right[j], factors[image], total) for (image, j), total in zip(grid, totals)]
    following = build.add(row, I64(1))
    steps = (row, following), (x, build.add(x, arg["x_row"])), (f, build.add(f, arg["f_row"])), *zip(totals, new)
    for phi, value in steps:
        phi.add_incoming(value, loop)
    build.cbranch(build.icmp_signed("<", following, arg["rows"]), loop, done)

    build.position_at_end(done)
    for value, target in zip(new, targets):
        build.store(value, target, align=4)
    fewer = build.sub(left, I64(1))
    steps = (left, fewer), (columns, build.add(columns, I64(64 * vectors))), (sums, build.add(sums, arg["sums_step"]))
    for phi, value in steps:
        phi.add_incoming(value, done)
    build.cbranch(build.icmp_signed(">", fewer, I64(0)), place, end)
    build.position_at_end(end)
    build.ret_void()
    return fn


def write_rows(module: ir.Module, wide: int, units: set[int]) -> dict[int, ir.Function]:
    """{number of images: function}: the places of the table for units of images, `wide` vectors to a place."""
    return {n: _write(module, wide, n) for n in sorted(units)}


@op
def add_rows(build, table, images, args):
    """Calls the function for so many images with (x, x_row, f, f_row, rows, places, sums, sums_step, adds, ahead).

    rows and places >= 1.
    """
    slot = build.add(table, build.shl(images, I64(3)))
    build.call(build.load(at(build, slot, _KIND.as_pointer())), args)
