"""A vector of 16 floats for numba code, and the pieces of LLVM IR that this and the matrix kernel share."""

from __future__ import annotations

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core.datamodel import models
from numba.extending import intrinsic, register_model

F32, I1, I32, I64 = ir.FloatType(), ir.IntType(1), ir.IntType(32), ir.IntType(64)
V16, I16 = ir.VectorType(F32, 16), ir.VectorType(I32, 16)
_UNTYPED_POINTERS = llvmlite.binding.llvm_version_info[0] >= 15


# ---- pieces of IR ----------------------------------------------------------------------------------------------------
def at(build, address, kind):
    """The integer `address` as a pointer."""
    return build.inttoptr(address, kind.as_pointer())


def declare(module, name, result, arguments):
    """A function of LLVM's."""
    return module.globals.get(name) or ir.Function(module, ir.FunctionType(result, arguments), name)


def splat(build, scalar, lanes):
    """The scalar in all lanes."""
    nothing = ir.Constant(ir.VectorType(scalar.type, lanes), ir.Undefined)
    first = build.insert_element(nothing, scalar, I32(0))
    return build.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(I32, lanes), [0] * lanes))


def fma(build, x, y, z):
    """x y + z, rounded once."""
    name = f"llvm.fma.v{x.type.count}f32"
    return build.call(declare(build.module, name, x.type, [x.type] * 3), [x, y, z])


def prefetch(build, address, write):
    """Asks for the cache line at an address, to read it or to write to it."""
    pointer = at(build, address, ir.IntType(8))
    name = "llvm.prefetch." + ("p0" if _UNTYPED_POINTERS else "p0i8")
    fetch = declare(build.module, name, ir.VoidType(), [pointer.type, I32, I32, I32])
    build.call(fetch, [pointer, I32(int(write)), I32(3), I32(1)])


def first_lanes(build, count, lanes):
    """A mask with the first `count` (64 bits) lanes set."""
    lane = ir.Constant(ir.VectorType(I32, lanes), list(range(lanes)))
    return build.icmp_signed("<", lane, splat(build, build.trunc(count, I32), lanes))


def masked_load(build, address, mask, other):
    """Elements where the mask is set, `other` where not; those are not read."""
    v, pointer = other.type, at(build, address, other.type)
    name = f"llvm.masked.load.v{v.count}f32." + ("p0" if _UNTYPED_POINTERS else f"p0v{v.count}f32")
    read = declare(build.module, name, v, [pointer.type, I32, mask.type, v])
    return build.call(read, [pointer, I32(4), mask, other])


def store_first(build, values, addresses, count):
    """The first `count` lanes of each vector, in pieces of 2^n: a masked store takes AVX2 some 20 cycles (AMD)."""
    fn, lanes = build.function, values[0].type.count
    for size in [lanes >> i for i in range(lanes.bit_length())]:
        before, part, after = build.block, fn.append_basic_block("part"), fn.append_basic_block("after")
        build.cbranch(build.icmp_signed("!=", build.and_(count, I64(size)), I64(0)), part, after)
        build.position_at_end(part)
        rest = []
        for value, address in zip(values, addresses):
            nothing = ir.Constant(value.type, ir.Undefined)
            order = [[i % lanes for i in range(first, end)] for first, end in ((0, size), (size, size + lanes))]
            order = [ir.Constant(ir.VectorType(I32, len(o)), o) for o in order]
            head, tail = (build.shuffle_vector(value, nothing, o) for o in order)
            build.store(head, at(build, address, head.type), align=4)
            rest.append((tail, build.add(address, I64(4 * size))))
        build.branch(after)
        build.position_at_end(after)
        for i, (old, new) in enumerate(zip(zip(values, addresses), rest)):
            phis = [build.phi(v.type) for v in old]
            for phi, was, now in zip(phis, old, new):
                phi.add_incoming(was, before)
                phi.add_incoming(now, part)
            values[i], addresses[i] = phis


# ---- a vector of 16 floats -------------------------------------------------------------------------------------------
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
    """16 floats to the beginning of a cache line, past the caches: what is there need not be read first."""

    def code(ctx, build, signature, args):
        store = build.store(args[1], at(build, args[0], V16), align=64)
        store.set_metadata("nontemporal", build.module.add_metadata([I32(1)]))
        return ctx.get_dummy_value()

    return types.void(types.int64, f32x16), code


@intrinsic
def finish_streams(context):
    """Other threads see what `vstream` wrote."""

    def code(ctx, build, signature, args):
        build.fence("seq_cst")
        return ctx.get_dummy_value()

    return types.void(), code


@intrinsic
def call_for(context, address):
    """Asks for the cache line at a byte address."""

    def code(ctx, build, signature, args):
        prefetch(build, args[0], False)
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
def vlargest(context, x, y):
    """The larger; x where it is not a number: a diverging network must show it."""

    def code(ctx, build, signature, args):
        return build.select(build.fcmp_unordered(">=", *args), *args)

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


@intrinsic
def vmaximum(context, x, y):
    """The larger; not a number where either is not."""

    def code(ctx, build, signature, args):
        larger = build.select(build.fcmp_ordered(">=", *args), *args)
        odd = build.select(build.fcmp_unordered("uno", args[0], args[0]), *args)
        return build.select(build.fcmp_unordered("uno", *args), odd, larger)

    return f32x16(f32x16, f32x16), code


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
vlargest_across = _across(lambda build, x, y: build.select(build.fcmp_unordered(">=", x, y), x, y))


# ---- a checksum ------------------------------------------------------------------------------------------------------
LANES = 16  # 64-bit words that are mixed side by side: 128 bytes


@intrinsic
def mix(context, sums, memory, count):
    """Mixes `count` rows of LANES 64-bit words into as many sums; sums and memory are addresses.

    sums[i] becomes (sums[i] turned left by 29 bits) + low(words[i] ^ key[i]) high(words[i] ^ key[i]) + words[i ^ 1],
    low and high being halves of a word: products of keyed halves and the neighbour's word as in the hash XXH3, turned
    so that the order counts. The last term makes sure that no change of a single word goes unseen.
    """

    def code(ctx, build, signature, args):
        v = ir.VectorType(I64, 8)
        places = [I64(64 * i) for i in range(LANES // 8)]
        keys = [(0x9E3779B97F4A7C15 * (i + 1)) % (1 << 64) for i in range(LANES)]  # the golden ratio's multiples
        keys = [ir.Constant(v, keys[8 * i : 8 * i + 8]) for i in range(LANES // 8)]
        half, low, left, right = (ir.Constant(v, [c] * 8) for c in (32, 0xFFFFFFFF, 29, 64 - 29))
        neighbours = ir.Constant(ir.VectorType(I32, 8), [i ^ 1 for i in range(8)])

        def mixed(total, word, key):
            total = build.or_(build.shl(total, left), build.lshr(total, right))
            keyed = build.xor(word, key)
            product = build.mul(build.and_(keyed, low), build.lshr(keyed, half))
            swapped = build.shuffle_vector(word, ir.Constant(v, ir.Undefined), neighbours)
            return build.add(build.add(total, product), swapped)

        fn, entry = build.function, build.block
        loop, after = fn.append_basic_block("mix"), fn.append_basic_block("mixed")
        start = [build.load(at(build, build.add(args[0], p), v), align=8) for p in places]
        build.cbranch(build.icmp_signed(">", args[2], I64(0)), loop, after)
        build.position_at_end(loop)
        i, now = build.phi(I64), build.phi(I64)
        old = [build.phi(v) for _ in places]
        words = [build.load(at(build, build.add(now, p), v), align=4) for p in places]
        new = [mixed(*each) for each in zip(old, words, keys)]
        i_next, now_next = build.add(i, I64(1)), build.add(now, I64(8 * LANES))
        for phi, first, following in [(i, I64(0), i_next), (now, args[1], now_next), *zip(old, start, new)]:
            phi.add_incoming(first, entry)
            phi.add_incoming(following, loop)
        build.cbranch(build.icmp_signed("<", i_next, args[2]), loop, after)
        build.position_at_end(after)
        last = [build.phi(v) for _ in places]
        for phi, s, n in zip(last, start, new):
            phi.add_incoming(s, entry)
            phi.add_incoming(n, loop)
        for p, phi in zip(places, last):
            build.store(phi, at(build, build.add(args[0], p), v), align=8)
        return ctx.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), code
