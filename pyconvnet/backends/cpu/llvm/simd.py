"""A vector of 16 floats for kernels: one register of AVX-512, two of AVX2."""

from __future__ import annotations

from llvmlite import ir

from pyconvnet.backends.cpu.llvm.ir import (
    F32,
    I32,
    I64,
    V16,
    at,
    build_prefetch,
    declare,
    first_lanes,
    fma,
    masked_load,
    splat,
    store_first,
    store_past,
    undefined,
)
from pyconvnet.backends.cpu.llvm.language import op

I16, V16_HALF = ir.VectorType(I32, 16), ir.VectorType(ir.HalfType(), 16)


@op
def vload(build, address):
    """16 floats from a byte address, of any alignment."""
    return build.load(at(build, address, V16), align=4)


@op
def vstore(build, address, value):
    """16 floats to a byte address."""
    build.store(value, at(build, address, V16), align=4)


@op
def vload_half(build, address):
    """16 numbers of half precision from a byte address, as floats."""
    return build.fpext(build.load(at(build, address, V16_HALF), align=2), V16)


@op
def vstore_half(build, address, value):
    """16 floats to a byte address, rounded to half precision."""
    build.store(build.fptrunc(value, V16_HALF), at(build, address, V16_HALF), align=2)


@op
def vstream(build, address, value):
    """16 floats to the beginning of a cache line, past the caches."""
    store_past(build, value, at(build, address, V16))


@op
def finish_streams(build):
    """Make the stores of `vstream` visible to other threads."""
    build.fence("seq_cst")


@op
def prefetch(build, address):
    """Asks for the cache line at a byte address."""
    build_prefetch(build, address, False)


@op
def prefetch_to_write(build, address):
    """The same, for what is about to be written."""
    build_prefetch(build, address, True)


@op
def fload(build, address):
    """One float from a byte address."""
    return build.load(at(build, address, F32))


@op
def fstore(build, address, value):
    """One float to a byte address."""
    build.store(value, at(build, address, F32))


@op
def vset1(build, value):
    """The same float in all 16 lanes."""
    return splat(build, value, 16)


vadd, vsub = op(ir.IRBuilder.fadd), op(ir.IRBuilder.fsub)
vmul, vdiv = op(ir.IRBuilder.fmul), op(ir.IRBuilder.fdiv)
vfma = op(fma)


@op
def vmax(build, x, y):
    """The larger, lane by lane; y where either is NaN: MATLAB's maximum of x and a number, in one instruction."""
    return build.select(build.fcmp_ordered(">", x, y), x, y)


@op
def vmin(build, x, y):
    """The smaller, lane by lane; y where either is NaN."""
    return build.select(build.fcmp_ordered("<", x, y), x, y)


@op
def vload_part(build, address, count, other):
    """The first `count` floats from a byte address, `other` in the lanes after them."""
    with build.if_else(_is_whole(build, count)) as (whole, part):
        with whole:
            everything, from_whole = build.load(at(build, address, V16), align=4), build.block
        with part:
            some = masked_load(build, address, first_lanes(build, count, 16), splat(build, other, 16))
            from_part = build.block
    out = build.phi(V16)
    out.add_incoming(everything, from_whole)
    out.add_incoming(some, from_part)
    return out


@op
def vstore_part(build, address, value, count):
    """The first `count` lanes to a byte address."""
    with build.if_else(_is_whole(build, count)) as (whole, part):
        with whole:
            build.store(value, at(build, address, V16), align=4)
        with part:
            store_first(build, [value], [address], count)


def _is_whole(build, count):
    return build.icmp_signed(">=", count, I64(16), name="whole")


def _choice(condition):
    return op(lambda build, x, y, a, b: build.select(build.fcmp_ordered(condition, x, y), a, b))


vif_equal, vif_greater = _choice("=="), _choice(">")  # (x, y, a, b): a where x == y (x > y), b elsewhere


def _one_argument(name):
    return op(lambda build, x: build.call(declare(build.module, f"llvm.{name}.v16f32", V16, [V16]), [x]))


vfloor, vabs = _one_argument("floor"), _one_argument("fabs")
vneg = op(ir.IRBuilder.fneg)


@op
def vexponent_of_bits(build, x):
    """2^n, where the last eight bits of x are n + 127."""
    return build.bitcast(build.shl(build.bitcast(x, I16), ir.Constant(I16, [23] * 16)), V16)


@op
def vfloat_of_bits(build, n):
    """The float 2^e (1 + m) whose bits are n + 127 2^23: e is the whole part of n / 2^23, m the rest."""
    return build.bitcast(build.add(build.fptosi(n, I16), ir.Constant(I16, [127 << 23] * 16)), V16)


@op
def vexponent(build, x):
    """e of x = m 2^e, 0.5 <= m < 1, for normal positive x."""
    bits = build.lshr(build.bitcast(x, I16), ir.Constant(I16, [23] * 16))
    return build.sitofp(build.sub(bits, ir.Constant(I16, [126] * 16)), V16)


@op
def vmantissa(build, x):
    """m of x = m 2^e, 0.5 <= m < 1, for normal positive x."""
    bits = build.and_(build.bitcast(x, I16), ir.Constant(I16, [0x7FFFFF] * 16))
    return build.bitcast(build.or_(bits, ir.Constant(I16, [126 << 23] * 16)), V16)


def _across(combine):
    def write(build, value):
        nothing = undefined(V16)
        for half in (8, 4, 2, 1):
            order = [(i + half) % 16 for i in range(16)]
            value = combine(build, value, build.shuffle_vector(value, nothing, ir.Constant(I16, order)))
        return build.extract_element(value, I32(0))

    return op(write)


vsum_across = _across(lambda build, x, y: build.fadd(x, y))
vmax_across = _across(lambda build, x, y: build.select(build.fcmp_unordered(">=", x, y), x, y))
