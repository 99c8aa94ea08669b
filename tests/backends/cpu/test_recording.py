"""Recordings read inputs where they lie, and write results to memory that is new in each run."""

from __future__ import annotations

import numpy as np
import pytest

from pyconvnet.backends.cpu import activations, hardware
from pyconvnet.backends.cpu.compiled import parallel
from pyconvnet.backends.cpu.layout import address, empty
from pyconvnet.backends.cpu.llvm.simd import fload, fstore
from pyconvnet.backends.cpu.recording import Recording
from pyconvnet.threads import parallel_region

pytestmark = pytest.mark.skipif(hardware.isa() == "plain", reason="nothing is recorded on this CPU")


def image(seed=0, shape=(40, 30, 20, 3), offset=0):
    """Channels fastest, `offset` floats after the beginning of its memory."""
    count = int(np.prod(shape))
    h, w, c, n = shape
    memory = np.random.default_rng(seed).standard_normal(count + offset, np.float32)
    return memory[offset:].reshape(n, h, w, c).transpose(1, 2, 3, 0)


def recorded(compute, x):
    recording = Recording()
    with recording:
        y = compute(recording.source(x))
    return recording, y


def play(recording, x):
    with parallel_region():
        return recording.play([x])


def half_twice(x):
    return activations.relu(activations.sigmoid(x), 0.5)


@pytest.mark.parametrize("offset", [0, 1, 5])
def test_inputs_in_any_place_and_order(offset):
    recording, y = recorded(half_twice, image())
    assert recording.ready([y]) == 0
    for seed in range(3):
        x = image(seed, offset=offset)
        for given in (x, np.asfortranarray(x), np.ascontiguousarray(x[:, ::-1])[:, ::-1]):
            before = given.tobytes()
            (found,) = play(recording, given)
            assert found.tobytes() == half_twice(x).tobytes() and given.tobytes() == before


def test_results_are_the_callers_own():
    recording, y = recorded(half_twice, image())
    recording.ready([y])
    found = [play(recording, image(seed))[0] for seed in range(4)]
    assert len({address(y) for y in found}) == 4
    for seed, y in enumerate(found):
        assert y.tobytes() == half_twice(image(seed)).tobytes()
    kept = found[0]
    del found
    for seed in range(4):
        play(recording, image(seed))
    assert kept.tobytes() == half_twice(image(0)).tobytes()


def test_small_results_are_copied():
    x = image(shape=(3, 3, 5, 2))
    recording, y = recorded(half_twice, x)
    assert recording.ready([y]) == y.size
    first, second = play(recording, x)[0], play(recording, -x)[0]
    assert first.tobytes() == half_twice(x).tobytes() and second.tobytes() == half_twice(-x).tobytes()


def test_a_result_that_is_asked_for_twice_and_one_that_is_none():
    recording, y = recorded(half_twice, image())
    recording.ready([y, None, y[::2]])
    whole, nothing, part = play(recording, image(1))
    assert nothing is None and np.shares_memory(whole, part)
    assert part.tobytes() == half_twice(image(1))[::2].tobytes()


def test_what_numpy_computes_from_is_copied():
    """The sum is numpy's, of the image and of a result."""
    recording, y = recorded(lambda x: activations.relu(activations.add(x, activations.sigmoid(x)), 0.0), image())
    assert recording.ready([y]) == image().size
    for seed in range(2):
        x = image(seed)
        (found,) = play(recording, x)
        expected = activations.relu(activations.add(x, activations.sigmoid(x)), 0.0)
        assert found.tobytes() == expected.tobytes()


@parallel
def _through_a_table(t, threads, table, y, count):
    if t == 0:
        x = table[0]
        for i in range(count):
            fstore(y + 4 * i, fload(x + 4 * i))


def test_what_the_calls_name_in_other_ways_has_no_numbers():
    """So that whoever compares the first run with the layers sees that it cannot be played."""

    def compute(x):
        y = empty(x.shape)
        _through_a_table(2, np.array([address(x)]), address(y), x.size)
        return y

    recording, y = recorded(compute, image())
    recording.ready([y])
    assert np.isnan(play(recording, image(1))[0]).all()


def test_memory_that_is_not_used_any_more_is_given_back():
    x = image(shape=(64, 64, 64, 4))
    recording, y = recorded(half_twice, x)
    recording.ready([y])
    play(recording, x)
    kept = {address(a): a.nbytes for a in (getattr(each, "array", each) for each in recording.kept)}
    assert x.nbytes <= sum(kept.values()) <= 1.2 * x.nbytes  # the sigmoid's result
    assert not recording.sources
