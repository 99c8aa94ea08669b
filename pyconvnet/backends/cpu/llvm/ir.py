"""LLVM IR builders that the vector type, the matrix kernel and the checksum share."""

from __future__ import annotations

from contextlib import contextmanager
from functools import lru_cache

import llvmlite.binding
from llvmlite import ir

F32, F64, I1, I32, I64 = ir.FloatType(), ir.DoubleType(), ir.IntType(1), ir.IntType(32), ir.IntType(64)
V16 = ir.VectorType(F32, 16)
_UNTYPED_POINTERS = llvmlite.binding.llvm_version_info[0] >= 15


def bits(kind):
    """Of a number, or of each in a vector."""
    return 64 if getattr(kind, "element", kind) == F64 else 32


def at(build, address, kind):
    """The integer `address` as a pointer."""
    return build.inttoptr(address, kind.as_pointer())


def alloca(build, kind):
    """Memory of a function's own."""
    with build.goto_entry_block():
        return build.alloca(kind)


@contextmanager
def counted(build, count):
    """A loop over 0 .. count - 1."""
    place = alloca(build, I64)
    build.store(I64(0), place)
    loop, after = build.append_basic_block("loop"), build.append_basic_block("after")
    build.cbranch(build.icmp_signed(">", count, I64(0)), loop, after)
    build.position_at_end(loop)
    index = build.load(place)
    yield index
    following = build.add(index, I64(1))
    build.store(following, place)
    build.cbranch(build.icmp_signed("<", following, count), loop, after)
    build.position_at_end(after)


def declare(module, name, result, arguments):
    """A function of LLVM's."""
    return module.globals.get(name) or ir.Function(module, ir.FunctionType(result, arguments), name)


# One object of each constant: llvmlite makes the text of each object once, of 16 elements slowly.
@lru_cache(maxsize=64)
def zeros(kind):
    """A vector of zeros."""
    return ir.Constant(kind, [0] * kind.count)


@lru_cache(maxsize=64)
def undefined(kind):
    """A value of a type that nothing depends on."""
    return ir.Constant(kind, ir.Undefined)


def splat(build, scalar, lanes):
    """The scalar in all lanes."""
    nothing = undefined(ir.VectorType(scalar.type, lanes))
    first = build.insert_element(nothing, scalar, I32(0))
    return build.shuffle_vector(first, nothing, zeros(ir.VectorType(I32, lanes)))


def fma(build, x, y, z):
    """x y + z, rounded once."""
    name = f"llvm.fma.v{x.type.count}f{bits(x.type)}"
    return build.call(declare(build.module, name, x.type, [x.type] * 3), [x, y, z])


def build_prefetch(build, address, write, far=False):
    """Asks for the cache line at an address, to read it or to write to it; far: into the second level of the cache."""
    pointer = at(build, address, ir.IntType(8))
    name = "llvm.prefetch." + ("p0" if _UNTYPED_POINTERS else "p0i8")
    fetch = declare(build.module, name, ir.VoidType(), [pointer.type, I32, I32, I32])
    build.call(fetch, [pointer, I32(int(write)), I32(2 if far else 3), I32(1)])


def store_past(build, value, pointer):
    """Stores a vector past the caches, at a multiple of its size: the cache line need not be read first."""
    store = build.store(value, pointer, align=bits(value.type) // 8 * value.type.count)
    store.set_metadata("nontemporal", build.module.add_metadata([I32(1)]))


def first_lanes(build, count, lanes):
    """A mask with the first `count` (64 bits) lanes set."""
    lane = ir.Constant(ir.VectorType(I32, lanes), list(range(lanes)))
    return build.icmp_signed("<", lane, splat(build, build.trunc(count, I32), lanes))


def masked_load(build, address, mask, other):
    """Elements where the mask is set, `other` where not; those are not read."""
    v, pointer = other.type, at(build, address, other.type)
    kind = f"v{v.count}f{bits(v)}"
    name = f"llvm.masked.load.{kind}." + ("p0" if _UNTYPED_POINTERS else f"p0{kind}")
    read = declare(build.module, name, v, [pointer.type, I32, mask.type, v])
    return build.call(read, [pointer, I32(4), mask, other])


def masked_store(build, value, address, mask):
    """Elements where the mask is set; the others are left as they are."""
    v, pointer = value.type, at(build, address, value.type)
    kind = f"v{v.count}f{bits(v)}"
    name = f"llvm.masked.store.{kind}." + ("p0" if _UNTYPED_POINTERS else f"p0{kind}")
    write = declare(build.module, name, ir.VoidType(), [v, pointer.type, I32, mask.type])
    build.call(write, [value, pointer, I32(4), mask])


def store_first(build, values, addresses, count):
    """The first `count` lanes of each vector, in pieces of 2^n: a masked store costs some 20 cycles with AVX2 (AMD)."""
    fn, lanes = build.function, values[0].type.count
    for size in [lanes >> i for i in range(lanes.bit_length())]:
        before, part, after = build.block, fn.append_basic_block("part"), fn.append_basic_block("after")
        build.cbranch(build.icmp_signed("!=", build.and_(count, I64(size)), I64(0)), part, after)
        build.position_at_end(part)
        rest = []
        for value, address in zip(values, addresses):
            nothing = undefined(value.type)
            order = [[i % lanes for i in range(first, end)] for first, end in ((0, size), (size, size + lanes))]
            order = [ir.Constant(ir.VectorType(I32, len(o)), o) for o in order]
            head, tail = (build.shuffle_vector(value, nothing, o) for o in order)
            build.store(head, at(build, address, head.type), align=4)
            rest.append((tail, build.add(address, I64(bits(value.type) // 8 * size))))
        build.branch(after)
        build.position_at_end(after)
        for i, (old, new) in enumerate(zip(zip(values, addresses), rest)):
            phis = [build.phi(v.type) for v in old]
            for phi, was, now in zip(phis, old, new):
                phi.add_incoming(was, before)
                phi.add_incoming(now, part)
            values[i], addresses[i] = phis
