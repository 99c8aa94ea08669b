"""Intel's AMX for kernels: eight registers of 16 rows of 64 bytes, and products of those that hold pairs of bfloat16.

Registers 0 to 3 are sums, 16 floats a row; 4 and 5 are left factors, 16 pairs a row; 6 and 7 are right factors, one
pair for each of 16 columns a row. Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1,
chapter 18.
"""

from __future__ import annotations

from llvmlite import ir

from pyconvnet.backends.cpu.llvm.ir import I64, alloca, at, declare
from pyconvnet.backends.cpu.llvm.language import op

I8, I16 = ir.IntType(8), ir.IntType(16)
ROWS, BYTES = 16, 64  # of a register
_RIGHT = (6, 7)


def _call(build, name, *arguments):
    fn = declare(build.module, f"llvm.x86.{name}", ir.VoidType(), [a.type for a in arguments])
    build.call(fn, arguments)


def _number(register):
    return I8(register.constant)


@op
def tiles_begin(build, rows):
    """Sums and left factors have so many rows from here on, for this thread; right factors have 16."""
    layout = alloca(build, ir.ArrayType(I8, 64))
    start = build.ptrtoint(layout, I64)
    for i in range(0, 64, 8):
        build.store(I64(1 if i == 0 else 0), at(build, build.add(start, I64(i)), I64))  # the only palette there is
    for register in range(8):
        count = I8(ROWS) if register in _RIGHT else build.trunc(rows, I8)
        build.store(I16(BYTES), at(build, build.add(start, I64(16 + 2 * register)), I16))
        build.store(count, at(build, build.add(start, I64(48 + register)), I8))
    _call(build, "ldtilecfg", at(build, start, I8))


@op
def tiles_end(build):
    """The registers are nobody's again, and the system need not keep them."""
    _call(build, "tilerelease")


@op
def tile_zero(build, register):
    _call(build, "tilezero", _number(register))


@op
def tile_load(build, register, address, apart):
    """Rows from a byte address, `apart` bytes from each other."""
    _call(build, "tileloadd64", _number(register), at(build, address, I8), apart)


@op
def tile_store(build, register, address, apart):
    """Rows to a byte address."""
    _call(build, "tilestored64", _number(register), at(build, address, I8), apart)


@op
def tile_multiply(build, sums, left, right):
    """sums += left right"""
    _call(build, "tdpbf16ps", *map(_number, (sums, left, right)))
