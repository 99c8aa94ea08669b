"""Blocks that exist in graphs only: values, derivatives along a random direction, sizes."""

import math

import numpy as np
import pytest

from pyconvnet import dagnn, rng

RNG = np.random.default_rng(9)


def array(*shape):
    return RNG.standard_normal(shape)


ROIS = np.array([[1, 1, 1, 5, 4], [2, 2, 3, 6, 7], [1, 3, 2, 6, 6]], float).T
CASES = {
    "sum": (dagnn.Sum(), [array(3, 4, 2, 2) for _ in range(3)], [], 3),
    "concat": (dagnn.Concat(), [array(3, 4, c, 2) for c in (2, 3, 1)], [], 3),
    "concat rows": (dagnn.Concat(dim=1), [array(h, 4, 2, 2) for h in (2, 3)], [], 2),
    "scale": (dagnn.Scale(), [array(3, 4, 2, 2)], [array(1, 1, 2), array(1, 1, 2, 1)], 1),
    "scale by inputs": (dagnn.Scale(), [array(3, 4, 2, 2), array(1, 1, 2, 2), array(3, 1, 1, 1)], [], 3),
    "scale without bias": (dagnn.Scale(hasBias=False), [array(3, 4, 2, 2)], [array(3, 4, 2)], 1),
    "crop": (dagnn.Crop(crop=[1, 0]), [array(6, 7, 2, 2), array(4, 4, 1, 1)], [], 1),
    "roi pooling": (dagnn.ROIPooling(subdivisions=[2, 3]), [array(7, 8, 2, 2), ROIS], [], 1),
    "roi pooling, flat": (dagnn.ROIPooling(subdivisions=[2, 3], flatten=True), [array(7, 8, 2, 2), ROIS], [], 1),
    "sampler": (dagnn.BilinearSampler(), [array(7, 6, 2, 2), RNG.uniform(-0.9, 0.9, (2, 4, 3, 2))], [], 2),
    "affine grid": (dagnn.AffineGridGenerator(Ho=3, Wo=5), [array(1, 1, 6, 2)], [], 1),
    "scaling grid": (dagnn.UniformScalingGridGenerator(Ho=3, Wo=5), [array(1, 1, 3, 2)], [], 1),
}


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


def test_derivatives_agree_with_differences_along_a_random_direction(case):
    block, inputs, params, movable = case
    (y,) = block.forward(inputs, params)
    dy = array(*y.shape)
    d_inputs, d_params = block.backward(inputs, params, [dy])
    for at, d in enumerate([*d_inputs[:movable], *d_params]):
        group, k = (inputs, at) if at < movable else (params, at - movable)
        assert d.shape == group[k].shape
        step = 1e-6 * array(*group[k].shape)
        ends = []
        for sign in (1, -1):
            moved = [*group]
            moved[k] = group[k] + sign * step
            arguments = (moved, params) if group is inputs else (inputs, moved)
            ends.append(np.sum(block.forward(*arguments)[0] * dy))
        difference = ends[0] - ends[1]
        assert abs(difference / 2 - np.sum(d * step)) <= 1e-6 * max(abs(difference), 1e-6)
    assert all(d is None for d in d_inputs[movable:])


def test_the_size_that_is_told_is_the_size_that_comes(case):
    block, inputs, params, _ = case
    (y,) = block.forward(inputs, params)
    assert block.getOutputSizes([(*x.shape, 1, 1)[:4] for x in inputs]) == [y.shape]


def test_unknown_sizes_stay_unknown(case):
    block, inputs, _, _ = case
    (size,) = block.getOutputSizes([(math.nan,) * 4 for _ in inputs])
    assert len(size) == 4 and math.isnan(math.prod(size))


def test_single_precision_stays_single(case):
    block, inputs, params, _ = case
    inputs, params = ([a.astype(np.float32) for a in group] for group in (inputs, params))
    (y,) = block.forward(inputs, params)
    assert y.dtype == np.float32
    d_inputs, d_params = block.backward(inputs, params, [np.ones_like(y)])
    assert all(d.dtype == np.float32 for d in [*d_inputs, *d_params] if d is not None)


def test_sum_leaves_its_inputs_alone():
    xs = [array(2, 2, 1, 1) for _ in range(3)]
    before = [x.copy() for x in xs]
    dagnn.Sum().forward(xs, [])
    for x, b in zip(xs, before):
        np.testing.assert_array_equal(x, b)


def test_sum_refuses_inputs_of_different_sizes():
    with pytest.raises(ValueError, match="input 2 is 1x1x2x1, input 1 is 3x3x2x1"):
        dagnn.Sum().forward([array(3, 3, 2, 1), array(1, 1, 2, 1)], [])


@pytest.mark.parametrize(
    ("block", "sizes", "message"),
    [
        (dagnn.Sum(), [(4, 4, 3, 1), (5, 5, 3, 1)], r"Sum: input 2 is 5x5x3x1, input 1 is 4x4x3x1; they must be the"),
        (dagnn.Concat(), [(4, 4, 3, 1), (5, 5, 3, 1)], r"Concat: input 2 .* must be the same in all dimensions but 3"),
    ],
)
def test_inputs_whose_sizes_cannot_meet_are_warned_of_with_the_layer(block, sizes, message):
    net = dagnn.DagNN()
    net.addLayer("join", block, ["a", "b"], "y")
    with pytest.warns(UserWarning, match=rf"{message}.* \.\.\. in layer 'join'") as told:
        net.getVarSizes(dict(zip("ab", sizes)))
    assert len(told) == 1 and told[0].filename == __file__
    with pytest.warns(UserWarning, match=message):
        type(block)().getOutputSizes(sizes)


@pytest.mark.filterwarnings("error")
def test_sizes_that_meet_or_are_not_known_are_not_warned_of():
    nan = math.nan
    assert dagnn.Sum().getOutputSizes([(4, 4, 3, 1), (4, nan, 3, nan), (4, 4, 3, 1)]) == [(4, 4, 3, 1)]
    assert dagnn.Concat().getOutputSizes([(4, 4, 3, 1), (4, 4, 5, 1)]) == [(4, 4, 8, 1)]
    assert dagnn.Concat(dim=1).getOutputSizes([(4, 4, 3, 1), (2, 4, 3, nan)]) == [(6, 4, 3, 1)]


def test_a_distance_that_is_not_summed_has_a_value_for_each_pixel():
    x, x0 = array(2, 3, 4, 5), array(2, 3, 4, 5)
    for block in (dagnn.PDist(aggregate=False), dagnn.PDist(opts=("aggregate", False))):
        assert block.getOutputSizes([x.shape, x0.shape]) == [(2, 3, 1, 5)] == [block.forward([x, x0], [])[0].shape]
    assert dagnn.PDist().getOutputSizes([x.shape, x0.shape]) == [(1, 1, 1, 5)]  # as of any loss in MatConvNet


def test_scale_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="g is 1x1x3x1, x is 2x2x2x1"):
        dagnn.Scale(hasBias=False).forward([array(2, 2, 2, 1)], [array(1, 1, 3)])
    with pytest.raises(ValueError, match="x, g and h come as inputs or parameters, got 2"):
        dagnn.Scale().forward([array(2, 2, 2, 1)], [array(1, 1, 2)])


def test_scale_initializes_parameters_of_its_size():
    g, h = dagnn.Scale(size=[1, 1, 5]).initParams()
    assert g.shape == h.shape == (1, 1, 5, 1) and g.dtype == np.float32 and not h.any()


def test_sizes_are_completed_and_two_borders_are_doubled_as_in_matlab():
    assert dagnn.Conv(size=[3, 5]).size == (3, 5, 1, 1)
    assert dagnn.Conv("size", np.array([[3.0, 3, 2, 4]])).initParams()[0].shape == (3, 3, 2, 4)
    assert dagnn.Conv(size=[3, 3, 1, 1], pad=[1, 2]).getOutputSizes([(8, 8, 1, 1)]) == [(8, 10, 1, 1)]
    assert dagnn.Pooling(poolSize=2, pad=[0, 1]).pad == (0, 0, 1, 1)
    up = dagnn.ConvTranspose(size=[4, 4, 2], upsample=2, crop=[1, 2])
    assert up.size == (4, 4, 2, 1) and up.getOutputSizes([(5, 5, 1, 1)]) == [(10, 8, 2, 1)]
    with pytest.raises(ValueError, match="Conv: size must be 1 or 2 or 3 or 4 numbers, got 5"):
        dagnn.Conv(size=[3, 3, 1, 1, 1])


def test_biases_count_where_the_block_has_some():
    x, f, b = array(3, 3, 2, 1), array(1, 1, 2, 4), array(4, 1)
    with_biases, without = (dagnn.Conv(size=f.shape, hasBias=h).forward([x], [f, b])[0] for h in (True, False))
    np.testing.assert_allclose(with_biases - without, np.broadcast_to(b.reshape(1, 1, 4, 1), without.shape))


def test_a_distance_is_weighted_by_a_third_input():
    x, x0, w, dy = array(2, 3, 4, 2), array(2, 3, 4, 2), np.abs(array(2, 3, 1, 2)), array(2, 3, 1, 2)
    block = dagnn.PDist(aggregate=False)
    np.testing.assert_allclose(block.forward([x, x0, w], [])[0], w * block.forward([x, x0], [])[0])
    weighted = block.backward([x, x0, w], [], [dy])[0]
    plain = block.backward([x, x0], [], [w * dy])[0]
    assert weighted[2] is None
    np.testing.assert_allclose(weighted[0], plain[0])


def test_a_frozen_mask_may_be_set_and_is_forgotten_with_reset():
    block = dagnn.DropOut(frozen=True)
    x = array(2, 2, 1, 1)
    block.mask = np.full_like(x, 2)
    np.testing.assert_array_equal(block.forward([x], [])[0], 2 * x)
    block.reset()
    assert block.mask is None and block.frozen is False


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (dagnn.Loss(), r"Loss must have 2 inputs \(predictions, labels\), got 1"),
        (dagnn.ROIPooling(), r"ROIPooling must have 2 inputs \(image, regions\), got 1"),
        (dagnn.BilinearSampler(), r"BilinearSampler must have 2 inputs \(image, grid\), got 1"),
        (dagnn.Crop(), "Crop must have 2 inputs .*, got 1"),
        (dagnn.Conv(size=[1, 1, 2, 2]), "Conv must have filters, and biases where hasBias, as parameters, got none"),
    ],
)
def test_a_missing_input_or_parameter_is_named(block, message):
    net = dagnn.DagNN()
    net.addLayer("l", block, "x", "y")
    with pytest.raises(ValueError, match=rf"{message} \.\.\. in layer 'l'"):
        net.eval({"x": array(2, 2, 2, 1)})


def test_crop_cuts_what_is_left_at_the_far_side():
    x = np.arange(49.0).reshape(7, 7, 1, 1)
    (y,) = dagnn.Crop(crop=[2, 1]).forward([x, np.zeros((4, 4, 1, 1))], [])
    np.testing.assert_array_equal(y, x[2:6, 1:5])


def test_an_identity_grid_samples_the_image_itself():
    x = array(5, 4, 2, 1)
    identity = np.array([1.0, 0, 0, 1, 0, 0]).reshape(1, 1, 6, 1)
    (grid,) = dagnn.AffineGridGenerator(Ho=5, Wo=4).forward([identity], [])
    np.testing.assert_allclose(dagnn.BilinearSampler().forward([x, grid], [])[0], x, atol=1e-12)


def test_both_grid_generators_agree_on_uniform_scaling():
    s, a, b = 0.5, 0.1, -0.2
    (affine,) = dagnn.AffineGridGenerator(Ho=4, Wo=1).forward([np.array([s, 0, 0, s, a, b]).reshape(1, 1, 6, 1)], [])
    (uniform,) = dagnn.UniformScalingGridGenerator(Ho=4, Wo=1).forward([np.array([s, a, b]).reshape(1, 1, 3, 1)], [])
    np.testing.assert_allclose(affine, uniform)


def test_grid_generators_refuse_other_sizes():
    with pytest.raises(ValueError, match="input is 1x1x4x1, it must be 1x1x6xN"):
        dagnn.AffineGridGenerator(Ho=2, Wo=2).forward([array(1, 1, 4, 1)], [])


def test_receptive_fields_of_concat_and_crop():
    assert dagnn.Concat().getReceptiveFields().size == (1, 1)
    assert math.isnan(dagnn.Concat(dim=1).getReceptiveFields().size[0])
    first, second = dagnn.Crop(crop=[2, 3]).getReceptiveFields()
    assert first[0].offset == (3, 4) and second[0].size == ()


@pytest.mark.parametrize(
    "block",
    [dagnn.Conv(size=[5, 5, 8, 16]), dagnn.ConvTranspose(size=[5, 5, 8, 16]), dagnn.Scale(size=[5, 5, 128])],
)
def test_first_values_are_drawn_from_the_librarys_generator(block):
    rng.seed(1)
    first = block.initParams()[0]
    again = block.initParams()[0]
    np.random.seed(2)  # not the generator
    rng.seed(1)
    assert np.array_equal(block.initParams()[0], first) and not np.array_equal(again, first)
    rng.adopt(np.random.default_rng(1))
    assert np.array_equal(block.initParams()[0], first)
    assert first.dtype == np.float32 and abs(first.mean()) < 0.1 * first.std()
    fan = np.prod(block.size[:3]) if isinstance(block, dagnn.Scale) else 5 * 5 * 16
    assert abs(first.std() / np.sqrt(2 / fan) - 1) < 0.05


@pytest.mark.parametrize("kind", [dagnn.Conv, dagnn.ConvTranspose])
def test_first_values_need_a_size(kind):
    with pytest.raises(ValueError, match=rf"{kind.__name__}.initParams: size must be set.*it is \[0, 0, 0, 0\]"):
        kind().initParams()
