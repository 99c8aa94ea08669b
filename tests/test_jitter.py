"""Jitter keeps size and type, repeats with the same generator, and does what each name says."""

import numpy as np
import pytest

from pyconvnet import jitter

ALL = {
    "translate": jitter.translate(3),
    "mirror": jitter.mirror(),
    "rotate": jitter.rotate(20),
    "scale": jitter.scale(0.8, 1.2),
    "warp": jitter.warp(2.0),
    "noise": jitter.noise(0.1),
    "context": jitter.context,
}
ALL["all of them"] = jitter.compose(*ALL.values())


@pytest.fixture
def images():
    return np.random.default_rng(0).random((12, 10, 2, 6), dtype=np.float32)


@pytest.mark.parametrize("name", ALL)
def test_size_and_type_stay_and_the_seed_decides(name, images):
    before = images.copy()
    one, two = (ALL[name](images, np.random.default_rng(3)) for _ in range(2))
    assert one.shape == images.shape and one.dtype == np.float32
    assert np.array_equal(one, two)
    assert not np.array_equal(one, ALL[name](images, np.random.default_rng(4)))
    assert np.array_equal(images, before)


def test_translation_by_whole_pixels_moves_the_inside_unchanged(images):
    moved = jitter.translate(2)(images, np.random.default_rng(1))
    shifts = np.random.default_rng(1).integers(-2, 3, (6, 2))
    for n, (dy, dx) in enumerate(shifts):
        inner = images[2:-2, 2:-2, :, n]
        assert np.array_equal(moved[2 + dy : 10 + dy, 2 + dx : 8 + dx, :, n], inner)


def test_translation_fills_what_comes_in(images):
    moved = jitter.translate(2, fill=7)(images, np.random.default_rng(1))
    shifts = np.random.default_rng(1).integers(-2, 3, (6, 2))
    for n, (dy, dx) in enumerate(shifts):
        kept = (12 - abs(dy)) * (10 - abs(dx)) * 2
        assert np.count_nonzero(moved[..., n] != 7) == kept


def test_mirroring_all_twice_gives_the_images_back(images):
    turn = jitter.mirror(probability=1.0)
    assert np.array_equal(turn(images)[:, ::-1], images)
    assert np.array_equal(turn(turn(images)), images)


def test_no_angle_no_factor_and_no_strength_change_nothing(images):
    for step in (jitter.rotate(0), jitter.scale(1, 1), jitter.warp(0.0), jitter.translate(0)):
        assert np.allclose(step(images, np.random.default_rng(0)), images, atol=1e-6)


def test_a_half_turn_is_a_half_turn(images):
    class Half:
        def uniform(self, low, high):
            return 180.0

    assert np.allclose(jitter.rotate(180)(images, Half()), images[::-1, ::-1], atol=1e-5)


def test_noise_has_the_deviation_asked_for():
    still = np.zeros((50, 50, 1, 8), np.float32)
    assert jitter.noise(0.3)(still, np.random.default_rng(0)).std() == pytest.approx(0.3, rel=0.02)


def test_context_keeps_the_middle_letter_and_adds_neighbours_at_the_sides():
    images = np.ones((32, 32, 1, 40), np.float32)
    images[8:24, 12:20] = 0
    seen = jitter.context(images, np.random.default_rng(0))
    assert np.all(seen[12:20, 14:18] == 0)
    assert (seen[:, :6] == 0).any() and (seen[:, -6:] == 0).any()


@pytest.mark.parametrize(
    ("make", "given", "message"),
    [
        (jitter.rotate, "x", "rotate: degrees must be a finite number from 0 up, got 'x'"),
        (jitter.rotate, np.inf, "rotate: degrees must be a finite number from 0 up, got inf"),
        (jitter.translate, -1, "translate: pixels must be a finite number from 0 up, got -1"),
        (jitter.warp, None, "warp: strength must be a finite number from 0 up, got None"),
        (jitter.noise, np.nan, "noise: deviation must be a finite number from 0 up, got nan"),
        (lambda p: jitter.mirror(probability=p), 2, "mirror: probability must be a number from 0 to 1, got 2"),
    ],
)
def test_numbers_that_do_not_fit_are_refused_when_a_jitter_is_made(make, given, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        make(given)
