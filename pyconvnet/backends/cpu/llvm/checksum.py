"""The checksum that kept filters are compared by."""

from __future__ import annotations

from llvmlite import ir

from pyconvnet.backends.cpu.llvm.ir import I32, I64, at, build_prefetch, undefined
from pyconvnet.backends.cpu.llvm.language import op

LANES = 16  # 64-bit words that are mixed side by side
CACHE_LINE, AHEAD = 64, 2048  # bytes; memory is called for so far ahead


@op
def mix(build, sums, memory, count):
    """Mixes `count` rows of LANES 64-bit words into as many sums; sums and memory are addresses.

    sums[i] becomes (sums[i] turned left by 29 bits) + low(words[i] ^ key[i]) high(words[i] ^ key[i]) + words[i ^ 1],
    low and high being halves of a word: products of keyed halves and the neighbour's word as in the hash XXH3, turned
    so that the order counts. The last term makes sure that no change of a single word goes unseen.
    """

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
        swapped = build.shuffle_vector(word, undefined(v), neighbours)
        return build.add(build.add(total, product), swapped)

    fn, entry = build.function, build.block
    loop, after = fn.append_basic_block("mix"), fn.append_basic_block("mixed")
    start = [build.load(at(build, build.add(sums, p), v), align=8) for p in places]
    build.cbranch(build.icmp_signed(">", count, I64(0)), loop, after)
    build.position_at_end(loop)
    i, now = build.phi(I64), build.phi(I64)
    old = [build.phi(v) for _ in places]
    words = [build.load(at(build, build.add(now, p), v), align=4) for p in places]
    new = [mixed(*each) for each in zip(old, words, keys)]
    for line in range(0, 8 * LANES, CACHE_LINE):
        build_prefetch(build, build.add(now, I64(AHEAD + line)), False)
    i_next, now_next = build.add(i, I64(1)), build.add(now, I64(8 * LANES))
    for phi, first, following in [(i, I64(0), i_next), (now, memory, now_next), *zip(old, start, new)]:
        phi.add_incoming(first, entry)
        phi.add_incoming(following, loop)
    build.cbranch(build.icmp_signed("<", i_next, count), loop, after)
    build.position_at_end(after)
    last = [build.phi(v) for _ in places]
    for phi, s, n in zip(last, start, new):
        phi.add_incoming(s, entry)
        phi.add_incoming(n, loop)
    for p, phi in zip(places, last):
        build.store(phi, at(build, build.add(sums, p), v), align=8)
