"""Transformed filters are kept, and never older than the filters: edited in place, bound anew, changed by a bit."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import pyconvnet
from pyconvnet.backends.cpu import filter_cache
from pyconvnet.threads import get_num_threads


@pytest.fixture(autouse=True)
def fresh():
    filter_cache.clear()
    yield
    filter_cache.clear()


def layer():
    random = np.random.default_rng(0)
    x = random.standard_normal((16, 16, 32, 1), dtype=np.float32)
    return x, random.standard_normal((3, 3, 32, 48), dtype=np.float32)


def exact(x, f):
    return pyconvnet.vl_nnconv(x.astype(np.float64), f.astype(np.float64), None)


def test_an_edit_in_place_is_seen_in_the_next_call():
    x, f = layer()
    pyconvnet.vl_nnconv(x, f, None)
    for edit in (lambda: f.__setitem__((1, 2, 3, 4), 9.0), lambda: f.__imul__(2), lambda: f[..., 7].fill(0)):
        edit()
        y = pyconvnet.vl_nnconv(x, f, None)
        assert np.abs(y - exact(x, f)).max() < 1e-3


def test_a_new_array_in_the_place_of_the_old_is_seen():
    x, f = layer()
    weights = [f]
    pyconvnet.vl_nnconv(x, weights[0], None)
    weights[0] = weights[0][:, :, ::-1].copy()
    assert np.abs(pyconvnet.vl_nnconv(x, weights[0], None) - exact(x, weights[0])).max() < 1e-3


def test_filters_that_stay_are_transformed_once(monkeypatch):
    from pyconvnet.backends.cpu import winograd

    x, f = layer()
    calls = []
    original = winograd.transformed
    monkeypatch.setattr(winograd, "transformed", lambda *a: calls.append(1) or original(*a))
    for _ in range(3):
        pyconvnet.vl_nnconv(x, f, None)
    assert len(calls) == 1
    f[0, 0, 0, 0] += 1
    pyconvnet.vl_nnconv(x, f, None)
    assert len(calls) == 2


def test_an_entry_goes_with_the_array_it_came_from():
    x, f = layer()
    pyconvnet.vl_nnconv(x, f, None)
    assert len(filter_cache._entries) == 1
    del f
    gc.collect()
    assert not filter_cache._entries


def test_the_limit_in_bytes_holds(monkeypatch):
    monkeypatch.setenv("PYCONVNET_FILTER_CACHE", "500000")
    x, f = layer()
    others = [f + i for i in range(5)]
    for g in others:
        pyconvnet.vl_nnconv(x, g, None)
    kept = [made.nbytes for _, made, *_ in filter_cache._entries.values()]
    assert sum(kept) <= 500000 and len(kept) >= 1


@pytest.mark.parametrize("size", [1, 5, 127, 128, 70_000, 131_072])
def test_the_checksum_sees_every_single_bit_and_exchanged_elements(size):
    random = np.random.default_rng(size)
    a = random.standard_normal(size, dtype=np.float32)
    before = filter_cache.checksum(a, get_num_threads())
    assert filter_cache.checksum(a.copy(), get_num_threads()) == before
    for i in {0, size // 2, size - 1}:
        for bit in (0, 13, 31):
            b = a.copy()
            b.view(np.uint32)[i] ^= np.uint32(1 << bit)
            assert filter_cache.checksum(b, get_num_threads()) != before
    if size > 1:
        b = a.copy()
        b[[0, size - 1]] = b[[size - 1, 0]]
        assert filter_cache.checksum(b, get_num_threads()) != before


@pytest.mark.parametrize("order", "CF")
def test_turned_signs_of_a_filter_are_seen(order):
    x, f = layer()
    f = np.asarray(f, order=order)
    for part in np.s_[..., 1], np.s_[:, :, 1], np.s_[0], np.s_[:, :, ::2, ::2]:
        pyconvnet.vl_nnconv(x, f, None)
        f[part] *= -1
        assert np.array_equal(pyconvnet.vl_nnconv(x, f, None), pyconvnet.vl_nnconv(x, f.copy(order="K"), None))


@pytest.mark.parametrize("step", [1, 2, 16, 32, 64, 128, 256, 4096])
def test_the_checksum_sees_turned_signs_wherever_they_are(step):
    a = np.random.default_rng(0).standard_normal(1 << 17, dtype=np.float32)
    before = filter_cache.checksum(a, get_num_threads())
    for first in (0, 1, 2, 3):
        for count in (1, 2, 3, 4, 32, a.size):
            b = a.copy()
            b[first::step][:count] *= -1
            assert filter_cache.checksum(b, get_num_threads()) != before


def test_the_checksum_does_not_depend_on_the_number_of_threads():
    a = np.random.default_rng(0).standard_normal(300_001, dtype=np.float32)
    assert len({filter_cache.checksum(a, n) for n in (1, 2, 3, 8)}) == 1


def test_filters_whose_axes_are_exchanged_are_kept_too():
    x, f = layer()
    turned = np.ascontiguousarray(f.transpose(3, 2, 0, 1)).transpose(2, 3, 1, 0)  # as PyTorch keeps them
    for _ in range(2):
        assert np.abs(pyconvnet.vl_nnconv(x, turned, None) - exact(x, turned)).max() < 1e-3
        assert len(filter_cache._entries) == 1
        turned[..., 3] *= -1


def test_an_array_is_watched_once_however_often_its_entry_is_dropped(monkeypatch):
    x, f = layer()
    pyconvnet.vl_nnconv(x, f, None)
    before = len(weakref.finalize._registry)
    for _ in range(5):
        filter_cache.clear()
        pyconvnet.vl_nnconv(x, f, None)
    monkeypatch.setenv("PYCONVNET_FILTER_CACHE", "0")
    for _ in range(5):
        pyconvnet.vl_nnconv(x, f, None)
    assert len(weakref.finalize._registry) == before
    del f
    gc.collect()
    assert not filter_cache._entries and not filter_cache._watched
