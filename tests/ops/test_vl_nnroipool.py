"""Regions as they come: none, as rows, in another type than the image."""

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet import dagnn

RNG = np.random.default_rng(0)
X = RNG.standard_normal((20, 25, 3, 2))
REGIONS = np.array([[1, 1, 2, 2], [1, 17, 33, 5], [1, 33, 1, 60], [200, 170, 390, 44], [310, 200, 310, 100]])
OPTIONS = {"subdivisions": (2, 3), "transform": 1 / 16}


@pytest.mark.parametrize("real", [np.float32, np.float64])
@pytest.mark.parametrize("method", ["max", "avg"])
def test_no_regions_give_no_grids_and_no_derivative(real, method):
    x = X.astype(real)
    for none in (np.zeros((5, 0)), np.zeros((5, 0), np.float32)):
        y = pcn.vl_nnroipool(x, none, method=method, **OPTIONS)
        assert y.shape == (2, 3, 3, 0) and y.dtype == real
        dx = pcn.vl_nnroipool(x, none, y, method=method, **OPTIONS)
        assert dx.shape == x.shape and dx.dtype == real and not dx.any()
        assert pcn.vl_nnroipool(x, none, [], method=method, **OPTIONS).shape == y.shape


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int32, np.uint16, list])
@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_regions_of_any_type_are_taken_in_the_precision_of_the_image(kind, real):
    x = X.astype(real)
    regions = REGIONS.tolist() if kind is list else REGIONS.astype(kind)
    wanted = pcn.vl_nnroipool(x, REGIONS.astype(real), **OPTIONS)
    y = pcn.vl_nnroipool(x, regions, **OPTIONS)
    assert y.dtype == real and np.array_equal(y, wanted)
    dy = RNG.standard_normal(y.shape).astype(real)
    dx = pcn.vl_nnroipool(x, REGIONS.astype(real), dy, **OPTIONS)
    assert np.array_equal(pcn.vl_nnroipool(x, regions, dy, **OPTIONS), dx)


@pytest.mark.parametrize(
    ("regions", "error", "message"),
    [
        (REGIONS.T, ValueError, r"rois must be 5 x R, got 4x5; its columns are the regions: transpose it"),
        (np.zeros((0, 5)), ValueError, r"rois must be 5 x R, got 0x5; its columns are the regions: transpose it"),
        (REGIONS[1:], ValueError, r"rois must be 5 x R, got 4x4$"),
        (np.float64(3), ValueError, r"rois must be 5 x R, got a number$"),
        (["all"], TypeError, r"rois must be numbers, 5 x R, got list"),
    ],
)
def test_what_is_no_list_of_regions_is_refused(regions, error, message):
    with pytest.raises(error, match=f"vl_nnroipool: {message}"):
        pcn.vl_nnroipool(X, regions)


class Proposals(dagnn.Layer):
    """The first `count` regions of an image."""

    count = 0

    def forward(self, inputs, params):
        return [REGIONS[:, : self.count].astype(np.float32)]

    def backward(self, inputs, params, derOutputs):
        return [None], []


@pytest.mark.parametrize("flatten", [False, True])
@pytest.mark.parametrize("real", [np.float32, np.float64])
@pytest.mark.parametrize("count", [0, 3])
def test_a_graph_runs_forward_and_backward_for_as_many_regions_as_are_proposed(flatten, real, count):
    net = dagnn.DagNN()
    net.addLayer("propose", Proposals(count=count), "x", "rois")
    net.addLayer("roi", dagnn.ROIPooling(flatten=flatten, **OPTIONS), ["x", "rois"], "p")
    net.addLayer("fc", dagnn.Conv(size=[1, 1, 18, 4] if flatten else [2, 3, 3, 4]), "p", "s", ["f", "b"])
    net.addLayer("relu", dagnn.ReLU(), "s", "y")
    net.initParams()
    for param in net.params:
        param.value = param.value.astype(real)
    x = X.astype(real)
    net.eval({"x": x}, {"y": np.ones((1, 1, 4, count))})
    assert net.vars["y"].value.shape == (1, 1, 4, count)
    filters = net.params["f"].value.reshape(2, 3, 3, 4, order="F")
    y = pcn.vl_nnconv(pcn.vl_nnroipool(x, REGIONS[:, :count], **OPTIONS), filters)
    np.testing.assert_allclose(net.vars["y"].value, pcn.vl_nnrelu(y), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("row", range(5))
def test_regions_that_are_not_finite_are_refused(value, row):
    regions = REGIONS.astype(float)
    regions[row, 0] = value
    with pytest.raises(ValueError, match=r"^vl_nnroipool: rois must be finite numbers"):
        pcn.vl_nnroipool(X, regions, **OPTIONS)
