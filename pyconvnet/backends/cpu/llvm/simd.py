"""A vector of 16 floats for numba code."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core.datamodel import models
from numba.extending import intrinsic, register_model

from pyconvnet.backends.cpu.llvm.ir import (
    F32,
    I32,
    I64,
    at,
    build_prefetch,
    declare,
    first_lanes,
    fma,
    masked_load,
    splat,
    store_first,
)

V16, I16 = ir.VectorType(F32, 16), ir.VectorType(I32, 16)


class F32x16Type(types.Type):
    """16 floats in registers: one of AVX-512, two of AVX2."""

    def __init__(self):
        super().__init__("F32x16")


f32x16 = F32x16Type()


@register_model(F32x16Type)
class _F32x16Model(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, V16)


@intrinsic
def vload(context, address):
    """16 floats from a byte address, of any alignment."""

    def code(ctx, build, signature, args):
        return build.load(at(build, args[0], V16), align=4)

    return f32x16(types.int64), code


@intrinsic
def vstore(context, address, value):
    """16 floats to a byte address."""

    def code(ctx, build, signature, args):
        build.store(args[1], at(build, args[0], V16), align=4)
        return ctx.get_dummy_value()

    return types.void(types.int64, f32x16), code


@intrinsic
def vstream(context, address, value):
    """16 floats to the beginning of a cache line, past the caches: the line need not be read first."""

    def code(ctx, build, signature, args):
        store = build.store(args[1], at(build, args[0], V16), align=64)
        store.set_metadata("nontemporal", build.module.add_metadata([I32(1)]))
        return ctx.get_dummy_value()

    return types.void(types.int64, f32x16), code


@intrinsic
def finish_streams(context):
    """Make the stores of `vstream` visible to other threads."""

    def code(ctx, build, signature, args):
        build.fence("seq_cst")
        return ctx.get_dummy_value()

    return types.void(), code


@intrinsic
def prefetch(context, address):
    """Asks for the cache line at a byte address."""

    def code(ctx, build, signature, args):
        build_prefetch(build, args[0], False)
        return ctx.get_dummy_value()

    return types.void(types.int64), code


@intrinsic
def fload(context, address):
    """One float from a byte address."""
    return types.float32(types.int64), lambda ctx, build, signature, args: build.load(at(build, args[0], F32))


@intrinsic
def fstore(context, address, value):
    """One float to a byte address."""

    def code(ctx, build, signature, args):
        build.store(args[1], at(build, args[0], F32))
        return ctx.get_dummy_value()

    return types.void(types.int64, types.float32), code


@intrinsic
def vset1(context, value):
    """The same float in all 16 lanes."""
    return f32x16(types.float32), lambda ctx, build, signature, args: splat(build, args[0], 16)


def _arithmetic(name):
    @intrinsic
    def op(context, x, y):
        return f32x16(f32x16, f32x16), lambda ctx, build, signature, args: getattr(build, name)(*args)

    return op


vadd, vsub, vmul, vdiv = _arithmetic("fadd"), _arithmetic("fsub"), _arithmetic("fmul"), _arithmetic("fdiv")


@intrinsic
def vfma(context, x, y, z):
    """x y + z, rounded once."""
    return f32x16(f32x16, f32x16, f32x16), lambda ctx, build, signature, args: fma(build, *args)


@intrinsic
def vmax(context, x, y):
    """The larger, lane by lane; y where either is NaN: MATLAB's maximum of x and a number, in one instruction."""

    def code(ctx, build, signature, args):
        return build.select(build.fcmp_ordered(">", *args), *args)

    return f32x16(f32x16, f32x16), code


@intrinsic
def vload_part(context, address, count, other):
    """The first `count` floats from a byte address, `other` in the lanes after them."""

    def code(ctx, build, signature, args):
        with build.if_else(_is_whole(build, args[1])) as (whole, part):
            with whole:
                everything, from_whole = build.load(at(build, args[0], V16), align=4), build.block
            with part:
                some = masked_load(build, args[0], first_lanes(build, args[1], 16), splat(build, args[2], 16))
                from_part = build.block
        out = build.phi(V16)
        out.add_incoming(everything, from_whole)
        out.add_incoming(some, from_part)
        return out

    return f32x16(types.int64, types.int64, types.float32), code


@intrinsic
def vstore_part(context, address, value, count):
    """The first `count` lanes to a byte address."""

    def code(ctx, build, signature, args):
        with build.if_else(_is_whole(build, args[2])) as (whole, part):
            with whole:
                build.store(args[1], at(build, args[0], V16), align=4)
            with part:
                store_first(build, [args[1]], [args[0]], args[2])
        return ctx.get_dummy_value()

    return types.void(types.int64, f32x16, types.int64), code


def _is_whole(build, count):
    return build.icmp_signed(">=", count, I64(16), name="whole")


def _choice(condition):
    @intrinsic
    def choose(context, x, y, a, b):
        def code(ctx, build, signature, args):
            return build.select(build.fcmp_ordered(condition, *args[:2]), *args[2:])

        return f32x16(f32x16, f32x16, f32x16, f32x16), code

    return choose


vif_equal, vif_greater = _choice("=="), _choice(">")  # (x, y, a, b): a where x == y (x > y), b elsewhere


def _one_argument(name):
    @intrinsic
    def op(context, x):
        def code(ctx, build, signature, args):
            return build.call(declare(build.module, f"llvm.{name}.v16f32", V16, [V16]), args)

        return f32x16(f32x16), code

    return op


vround, vfloor, vabs = _one_argument("rint"), _one_argument("floor"), _one_argument("fabs")


@intrinsic
def vtwo_to_the(context, n):
    """2^n for whole numbers -126 .. 127."""

    def code(ctx, build, signature, args):
        whole = build.add(build.fptosi(args[0], I16), ir.Constant(I16, [127] * 16))
        return build.bitcast(build.shl(whole, ir.Constant(I16, [23] * 16)), V16)

    return f32x16(f32x16), code


@intrinsic
def vfloat_of_bits(context, n):
    """The float 2^e (1 + m) whose bits are n + 127 2^23: e is the whole part of n / 2^23, m the rest."""

    def code(ctx, build, signature, args):
        return build.bitcast(build.add(build.fptosi(args[0], I16), ir.Constant(I16, [127 << 23] * 16)), V16)

    return f32x16(f32x16), code


@intrinsic
def vexponent(context, x):
    """e of x = m 2^e, 0.5 <= m < 1, for normal positive x."""

    def code(ctx, build, signature, args):
        bits = build.lshr(build.bitcast(args[0], I16), ir.Constant(I16, [23] * 16))
        return build.sitofp(build.sub(bits, ir.Constant(I16, [126] * 16)), V16)

    return f32x16(f32x16), code


@intrinsic
def vmantissa(context, x):
    """m of x = m 2^e, 0.5 <= m < 1, for normal positive x."""

    def code(ctx, build, signature, args):
        bits = build.and_(build.bitcast(args[0], I16), ir.Constant(I16, [0x7FFFFF] * 16))
        return build.bitcast(build.or_(bits, ir.Constant(I16, [126 << 23] * 16)), V16)

    return f32x16(f32x16), code


def _across(combine):
    @intrinsic
    def op(context, x):
        def code(ctx, build, signature, args):
            value, nothing = args[0], ir.Constant(V16, ir.Undefined)
            for half in (8, 4, 2, 1):
                order = [(i + half) % 16 for i in range(16)]
                value = combine(build, value, build.shuffle_vector(value, nothing, ir.Constant(I16, order)))
            return build.extract_element(value, I32(0))

        return types.float32(f32x16), code

    return op


vsum_across = _across(lambda build, x, y: build.fadd(x, y))
vmax_across = _across(lambda build, x, y: build.select(build.fcmp_unordered(">=", x, y), x, y))
