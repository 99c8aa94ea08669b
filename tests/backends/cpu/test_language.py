"""The language of kernels computes what Python computes, and refuses what it does not have."""

from collections import namedtuple
from importlib import import_module

import numpy as np
import pytest

from pyconvnet.backends.cpu.hardware import isa
from pyconvnet.backends.cpu.llvm.simd import vload, vset1, vstore
from pyconvnet.threads import parallel_region

pytestmark = pytest.mark.skipif(isa() == "plain", reason="nothing is compiled")
compiled = import_module("pyconvnet.backends.cpu.compiled")  # the package has a function of that name
SCALE = 3
Sizes = namedtuple("Sizes", "height width")


def run(fn, *args, threads=1):
    with parallel_region():
        compiled.parallel(fn)(threads, *args)


@pytest.mark.parametrize("divisor", [1, 2, 3, 16, 7, -2, -5])
def test_division_goes_downwards_as_in_python(divisor):
    def divide(t, threads, x, d, quotients, rests):
        for i in range(len(x)):
            quotients[i], rests[i] = x[i] // d, x[i] % d

    x = np.arange(-40, 41)
    quotients, rests = np.empty_like(x), np.empty_like(x)
    run(divide, x, divisor, quotients, rests)
    assert np.array_equal(quotients, x // divisor) and np.array_equal(rests, x % divisor)


def test_division_by_constants_goes_downwards():
    def divide(t, threads, x, out):
        for i in range(len(x)):
            out[i, 0], out[i, 1], out[i, 2], out[i, 3] = x[i] // 16, x[i] % 16, -(-x[i] // 7), x[i] % 7

    x = np.arange(-40, 41)
    out = np.empty((81, 4), np.int64)
    run(divide, x, out)
    assert np.array_equal(out, np.stack([x // 16, x % 16, -(-x // 7), x % 7], axis=1))


def _control(x, out):
    """What the test below runs in Python and as a kernel."""
    place, total = 0, 0
    for i in range(1, len(x), 2):
        if x[i] < 0:
            continue
        elif x[i] > 30 and not x[i] == 33:
            break
        n = 0
        while True:
            n += 1
            if n * n > x[i] or n == 4:
                break
        total += n if i % 3 == 0 or x[i] < 5 else -n
        low, high = (n, total) if 0 <= total < 9 else (total, n)
        out[place] = max(low, min(high, i), SCALE) + abs_of(low - high)
        place += 1
    out[-1] = total


def abs_of(n):
    return n if n > 0 else -n


def test_branches_and_loops_go_as_in_python(monkeypatch):
    x = np.random.default_rng(0).integers(-5, 40, 300)
    x[:260] = np.minimum(x[:260], 30)
    expected, found = np.zeros(160, np.int64), np.zeros(160, np.int64)
    _control(x, expected)
    inner = compiled.inner(_control)
    monkeypatch.setitem(globals(), "abs_of", compiled.inner(abs_of))

    def control(t, threads, x, out):
        inner(x, out)

    run(control, x, found)
    assert np.array_equal(found, expected) and found[-1] != 0


def test_and_reads_no_element_that_is_not_there():
    def find(t, threads, x, what, out):
        i = 0
        while i < len(x) and x[i] != what:
            i += 1
        out[0] = i

    out = np.zeros(1, np.int64)
    for what, place in ((7, 3), (8, 4)):
        run(find, np.array([1, 2, 3, 7]), what, out)
        assert out[0] == place


def test_numbers_of_several_types():
    def mix(t, threads, words, single, double, flag, out):
        out[0] = (int(words[0]) & 0x80000000) >> 31
        out[1] = np.float32(1) / np.float32(3)
        out[2] = single * np.float32(2) + double
        out[3] = words[1] / 3
        out[4] = 1 if flag else 2
        out[5] = np.float32(0 if flag else -np.inf)
        words[2] = words[1] * 5

    words, out = np.array([2**32 - 1, 2**32 - 2, 0], np.uint32), np.zeros(6)
    run(mix, words, np.float32(0.1), np.float64(0.1), True, out)
    third = np.float32(1) / np.float32(3)
    assert out.tolist() == [1, third, float(np.float32(0.1) * np.float32(2)) + 0.1, (2**32 - 2) / 3, 1, 0]
    assert words[2] == (2**32 - 2) * 5 % 2**32
    run(mix, words, np.float32(0.1), np.float64(0.1), False, out)
    assert out[4] == 2 and out[5] == -np.inf


def test_tuples_named_tuples_and_parts_of_arrays():
    def spread(t, threads, sizes, pair, numbers, out):
        a, b = numbers[1:]
        first, second = pair
        out[0], out[1] = sizes.width * a + first, sizes.height * b + second
        out[-1] = pair[1] * numbers[-1]

    out = np.zeros(3, np.int64)
    run(spread, Sizes(2, 3), (5, 7), np.array([11, 13, 17]), out)
    assert out.tolist() == [3 * 13 + 5, 2 * 17 + 7, 7 * 17]


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
def test_each_part_is_done_once(threads):
    def count(t, threads, out):
        out[t] += 1 + t + 100 * threads

    out = np.zeros(threads + 1, np.int64)
    run(count, out, threads=threads)
    assert out.tolist() == [*(1 + t + 100 * threads for t in range(threads)), 0]


def test_vectors():
    def add(t, threads, x, out):
        vstore(out.ctypes.data, vload(x))
        vstore(out.ctypes.data + 64, vset1(np.float32(2)))

    x, out = np.arange(16, dtype=np.float32), np.zeros(32, np.float32)
    run(add, x.ctypes.data, out)
    assert out.tolist() == [*range(16), *[2] * 16]


def _returns_early(t, threads):
    if threads > 1:
        return
    return


def _other_type(t, threads):
    n = 1
    n = np.float32(2)
    return n


def _with_a_list(t, threads):
    return [t]


def _over_an_array(t, threads, x):
    for i in x:
        x[0] = i


def _calls_python(t, threads):
    print(t)


def _unknown(t, threads):
    return nowhere  # noqa: F821


def _backwards(t, threads):
    for _ in range(3, 0, -1):
        pass


def _with_else(t, threads):
    while t < 0:
        t += 1
    else:
        vset1(np.float32(t))


def _with_a_name(t, threads):
    vset1(value=np.float32(t))


@pytest.mark.parametrize(
    ("fn", "args", "reason"),
    [
        (_returns_early, (), "line [0-9]+ of .*: kernels have no Return"),
        (_other_type, (), "_other_type, line [0-9]+ of .*: n is i64 and becomes float"),
        (_with_a_list, (), "kernels have no List"),
        (_over_an_array, (np.zeros(1),), "loops are over a range"),
        (_calls_python, (), "kernels cannot call"),
        (_unknown, (), "no name nowhere"),
        (_backwards, (), "ranges go upwards"),
        (_with_else, (), "loops have no else"),
        (_with_a_name, (), "arguments have no names"),
        (_other_type, (1,), "takes 2 arguments, got 3"),
    ],
)
def test_what_is_not_in_the_language_is_an_error_that_says_where(fn, args, reason):
    with pytest.raises(TypeError, match=reason):
        run(fn, *args)
