"""vl_nneuclideanloss and vl_nnsmoothL1loss against their formulas."""

import numpy as np
import pytest

import pyconvnet as pcn

rng = np.random.default_rng(4)
X, T = rng.standard_normal((2, 3, 4, 2, 5)) * 2
W = rng.uniform(size=X.shape)


def smooth(d, sigma):
    return np.where(abs(d) < sigma**-2, sigma**2 * d**2 / 2, abs(d) - sigma**-2 / 2)


def test_the_euclidean_loss_is_half_the_squared_distance_of_an_image():
    half = (W * (X - T) ** 2).sum() / 2
    y = pcn.vl_nneuclideanloss(X, T, instanceWeights=W)
    assert y.shape == (1, 1, 1, 1) and y.item() == pytest.approx(half / 5)
    assert pcn.vl_nneuclideanloss(X, T, [], "instanceWeights", W, "normalise", False).item() == pytest.approx(half)
    dx = pcn.vl_nneuclideanloss(X, T, 2.0, instanceWeights=W)
    assert np.allclose(dx, 2 * W * (X - T) / 5)


def test_smooth_l1_has_weights_inside_and_outside():
    inside = rng.uniform(size=X.shape)
    given = {"sigma": 1.5, "insideWeights": inside, "outsideWeights": W}
    d = inside * (X - T)
    y = pcn.vl_nnsmoothL1loss(X, T, **given)
    assert y.item() == pytest.approx((W * smooth(d, 1.5)).sum() / 5)
    dx = pcn.vl_nnsmoothL1loss(X, T, 1, **given)
    assert np.allclose(dx, W * inside * np.clip(1.5**2 * d, -1, 1) / 5)
    assert pcn.vl_nnsmoothL1loss(X, T, normalise=False).item() == pytest.approx(smooth(X - T, 1).sum())


@pytest.mark.parametrize("loss", [pcn.vl_nneuclideanloss, pcn.vl_nnsmoothL1loss])
def test_targets_come_in_the_shapes_that_labels_have(loss):
    x, t = rng.standard_normal((2, 1, 1, 3, 5)).astype(np.float32)
    y = loss(x, t)
    assert y.dtype == np.float32
    flat = t.reshape(3, 5)
    assert np.array_equal(loss(x, flat.astype(float)), y) and np.array_equal(loss(x, flat, 1), loss(x, t, 1))
    one = loss(x[:, :, :1], t[:, :, :1])
    assert np.array_equal(loss(x[:, :, :1], t[0, 0, 0]), one)
    assert np.array_equal(loss(x[:, :, :1], t[0, 0, :1]), one)


@pytest.mark.parametrize("loss", [pcn.vl_nneuclideanloss, pcn.vl_nnsmoothL1loss])
def test_a_target_that_is_nan_is_left_out(loss):
    t = T.copy()
    t[0, 0, 0, 0] = np.nan
    same = np.where(np.isnan(t), X, t)
    assert loss(X, t).item() == pytest.approx(loss(X, same).item())
    assert np.array_equal(loss(X, t, 1), loss(X, same, 1))


@pytest.mark.parametrize("loss", [pcn.vl_nneuclideanloss, pcn.vl_nnsmoothL1loss])
@pytest.mark.parametrize(
    "t, error, message",
    [
        (np.zeros((3, 4, 2, 4)), ValueError, "t is 3x4x2x4; it must be 3x4x2x5, or 1 in a dimension"),
        (["here"], TypeError, "t must be numbers, got list"),
    ],
)
def test_targets_that_do_not_fit_are_refused(loss, t, error, message):
    with pytest.raises(error, match=f"{loss.__name__}: {message}"):
        loss(X, t)


def test_a_derivative_is_one_number_and_sigma_above_0():
    with pytest.raises(ValueError, match="vl_nneuclideanloss: dzdy must be one number, got 3x4x2x5"):
        pcn.vl_nneuclideanloss(X, T, X)
    with pytest.raises(ValueError, match="vl_nnsmoothL1loss: sigma must be one number above 0, got 0"):
        pcn.vl_nnsmoothL1loss(X, T, sigma=0)
