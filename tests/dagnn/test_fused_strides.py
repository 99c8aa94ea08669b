"""What only strided 1 x 1 convolutions read is computed at the pixels that they look at; results stay the same."""

from __future__ import annotations

import numpy as np
import pytest

from pyconvnet import dagnn


def stage(stride=(2, 2), second=None, size=1):
    """conv 3x3, relu, conv 1x1, + shortcut, relu; and a block whose two convolutions, `size` high, stride over that."""
    net = dagnn.DagNN()

    def conv(name, source, size, depth, count, **options):
        block = dagnn.Conv(size=[size, size, depth, count], **options)
        net.addLayer(name, block, source, f"{name}_y", [f"{name}_f", f"{name}_b"])
        return f"{name}_y"

    def relu(name, source):
        net.addLayer(name, dagnn.ReLU(), source, f"{name}_x")
        return f"{name}_x"

    start = conv("a0", "x", 3, 4, 24, pad=1)
    inner = relu("a1r", conv("a1", start, 3, 24, 20, pad=1))
    net.addLayer("a_sum", dagnn.Sum(), [conv("a2", inner, 1, 20, 24), start], "a_s")
    x = relu("a_r", "a_s")
    left = conv("b2", relu("b1r", conv("b1", x, size, 24, 16, stride=stride)), 1, 16, 24)
    right = conv("b3", x, size, 24, 24, stride=second or stride)
    if second in (None, stride):
        net.addLayer("b_sum", dagnn.Sum(), [left, relu("b3r", right)], "b_s")
        relu("b_r", "b_s")
    else:
        relu("b_r", left), relu("b3r", right)
    net.initParams()
    random = np.random.default_rng(0)
    for param in net.params:
        param.value = random.standard_normal(param.value.shape, dtype=np.float32)
    net.mode = "test"
    return net


def image(h, w):
    return np.random.default_rng(1).standard_normal((h, w, 4, 2), dtype=np.float32)


def check(net, x):
    net.eval({"x": x})
    ours = {v.name: v.value for v in net.vars if v.value is not None and v.name != "x"}
    kept = net.copy()
    kept.conserveMemory, kept.mode = False, "test"
    kept.eval({"x": x})
    assert ours
    for name, value in ours.items():
        exact = kept.getVar(name).value
        assert value.shape == exact.shape
        np.testing.assert_allclose(value, exact, rtol=0, atol=2e-5 * np.abs(exact).max())


def wanted(net):
    """Pixels that each step computes, where those are not all."""
    return [s for step in net._plan.fused if (s := getattr(step.block, "output_stride", (1, 1))) != (1, 1)]


@pytest.mark.parametrize("size", [(8, 8), (9, 7), (1, 5), (17, 16)])
@pytest.mark.parametrize("stride", [(2, 2), (2, 1), (3, 2)])
def test_pixels_that_nobody_reads_are_left_out(stride, size):
    net = stage(stride)
    check(net, image(*size))
    assert wanted(net) == [stride, stride]  # the sum, and the convolution before it


def test_a_convolution_with_nothing_after_it_strides_as_well():
    net = stage()
    net.removeLayer("b3r")  # the sum reads the convolution itself, as in a network whose normalizations are folded
    net.layers["b_sum"].inputs = [net.layers["b_sum"].inputs[0], "b3_y"]
    net.rebuild()
    check(net, image(9, 8))
    assert wanted(net) == [(2, 2), (2, 2)]


@pytest.mark.parametrize(
    ("change", "left"),
    [
        (lambda net: setattr(net.getVar("a_r_x"), "precious", True), 0),
        (lambda net: setattr(net.getVar("a1r_x"), "precious", True), 1),
        (lambda net: setattr(net.getLayer("b1").block, "pad", (1, 1, 1, 1)), None),
        (
            lambda net: (
                setattr(net.getLayer("b1").block, "stride", 3),
                setattr(net.getLayer("b3").block, "stride", 3),
            ),
            2,
        ),
        (lambda net: setattr(net.getLayer("b3").block, "opts", ["NoCuDNN"]), 2),
        (lambda net: setattr(net.getLayer("b1r").block, "leak", 0.1), 2),
        (lambda net: setattr(net.getLayer("a1r").block, "leak", 0.1), None),
        (lambda net: setattr(net.getLayer("a_r").block, "leak", 0.1), None),
    ],
)
def test_what_changes_after_the_first_evaluation_counts(change, left):
    net = stage()
    check(net, image(9, 9))
    assert len(wanted(net)) == 2
    change(net)
    try:
        check(net, image(9, 9))
    except ValueError as error:  # the two branches no longer fit
        assert "b_sum" in str(error)
    if left is not None:
        assert len(wanted(net)) == left


def test_readers_that_want_different_pixels_get_all():
    net = stage((2, 2), second=(1, 1))
    check(net, image(8, 8))
    assert wanted(net) == []


def test_larger_filters_see_all_pixels():
    net = stage(size=3)
    check(net, image(11, 9))
    assert wanted(net) == []


def test_float64_runs_one_by_one():
    net = stage()
    for param in net.params:
        param.value = param.value.astype(np.float64)
    check(net, image(8, 8).astype(np.float64))


def test_a_convolution_without_parameters_is_named():
    net = dagnn.DagNN()
    net.addLayer("first", dagnn.Conv(size=[1, 1, 3, 4]), "x", "y", ["f", "b"])
    net.addLayer("r", dagnn.ReLU(), "y", "z")
    net.addLayer("bare", dagnn.Conv(size=[1, 1, 4, 4], stride=2), "z", "w")
    net.addLayer("s", dagnn.ReLU(), "w", "v")
    for param, shape in zip(net.params, [(1, 1, 3, 4), (4, 1)]):
        param.value = np.ones(shape, np.float32)
    net.mode = "test"
    with pytest.raises(ValueError, match="in layer 'bare'"):
        net.eval({"x": np.ones((5, 5, 3, 1), np.float32)})
