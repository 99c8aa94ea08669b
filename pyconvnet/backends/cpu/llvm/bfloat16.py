"""Numbers of bfloat16, the upper halves of floats, by instructions of AVX512-BF16."""

from __future__ import annotations

from llvmlite import binding, ir

from pyconvnet.backends.cpu.llvm.ir import I32, V16, at, declare, splat
from pyconvnet.backends.cpu.llvm.language import op


class _BFloat(ir.Type):
    """LLVM's type, which llvmlite does not have."""

    def _to_string(self) -> str:
        return "bfloat"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _BFloat)

    def __hash__(self) -> int:
        return hash(_BFloat)


_NAME = "llvm.x86.avx512bf16.{}.512"
_I16, _BFLOAT = ir.IntType(16), _BFloat()
if binding.llvm_version_info >= (16, 0, 0):
    _ROUNDED, _PAIRS = ir.VectorType(_BFLOAT, 16), ir.VectorType(_BFLOAT, 32)
else:
    _ROUNDED, _PAIRS = ir.VectorType(_I16, 16), ir.VectorType(ir.IntType(32), 16)


def add_products_of_pairs(build, x, y, z):
    """z + x[0] y[0] + x[1] y[1] for each pair of x and y, which are given as 16 floats."""
    fn = declare(build.module, _NAME.format("dpbf16ps"), V16, [V16, _PAIRS, _PAIRS])
    return build.call(fn, [z, build.bitcast(x, _PAIRS), build.bitcast(y, _PAIRS)])


def _rounded(build, value):
    fn = declare(build.module, _NAME.format("cvtneps2bf16"), _ROUNDED, [V16])
    return build.bitcast(build.call(fn, [value]), ir.VectorType(_I16, 16))


@op
def vstore_bfloat16(build, address, value):
    """16 floats to a byte address, rounded to bfloat16."""
    build.store(_rounded(build, value), at(build, address, ir.VectorType(_I16, 16)), align=2)


@op
def fstore_bfloat16(build, address, value):
    """One float to a byte address, rounded to bfloat16."""
    first = build.extract_element(_rounded(build, splat(build, value, 16)), I32(0))
    build.store(first, at(build, address, _I16), align=2)
