"""vl_simplenn's options, custom layers, messages; and that what is kept and what is forgotten is right."""

import warnings

import numpy as np
import pytest

import pyconvnet as pcn

RNG = np.random.default_rng(0)


def draw(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


@pytest.fixture
def net():
    layers = [
        {"type": "conv", "name": "c1", "weights": [draw(3, 3, 2, 4), draw(4)], "pad": 1},
        {"type": "relu", "name": "r1"},
        {"type": "bnorm", "name": "b1", "weights": [draw(4), draw(4), np.abs(draw(4, 2)) + 1]},
        {"type": "dropout", "name": "d1", "rate": 0.5},
        {"type": "conv", "name": "c2", "weights": [draw(6, 6, 4, 3), draw(3)]},
        {"type": "softmaxloss", "name": "loss", "class": np.array([1, 2, 3, 1, 2])},
    ]
    return pcn.vl_simplenn_tidy(pcn.SimpleNN(layers=layers))


@pytest.fixture
def x():
    return draw(6, 6, 2, 5)


def test_without_conserve_memory_everything_is_kept(net, x):
    res = pcn.vl_simplenn(net, x, 1)
    assert len(res) == 7
    assert all(r.x is not None and r.dzdx is not None for r in res)
    assert [len(r.dzdw) for r in res] == [2, 0, 3, 0, 2, 0, 0]
    assert all(r.forwardTime > 0 and r.backwardTime > 0 for r in res[:-1])
    assert res[4].aux.shape == res[4].x.shape


@pytest.mark.parametrize("field", ["precious", "rememberOutput"])
def test_conserve_memory_forgets_all_but_what_is_precious_and_changes_no_derivative(net, x, field):
    net.layers[3].rate = 0
    net.layers[1][field] = True
    full = pcn.vl_simplenn(net, x, 1)
    spare = pcn.vl_simplenn(net, x, 1, conserveMemory=True)
    assert [r.x is not None for r in spare] == [True, False, True, False, False, False, True]
    assert np.array_equal(spare[2].x, full[2].x)
    for a, b in zip(full, spare):
        for v, w in zip(a.dzdw, b.dzdw):
            assert np.allclose(v, w, rtol=1e-5, atol=1e-6)
    assert np.allclose(spare[0].dzdx, full[0].dzdx, rtol=1e-5, atol=1e-6)


def test_test_mode_with_conserve_memory_keeps_the_last_output(net, x):
    net.layers.pop()
    res = pcn.vl_simplenn(net, x, mode="test", conserveMemory=True)
    assert [r.x is not None for r in res][1:] == [False, False, False, False, True]
    assert np.allclose(res[-1].x, pcn.vl_simplenn(net, x, mode="test")[-1].x, rtol=1e-5, atol=1e-6)


def test_accumulate_adds_to_the_derivatives_of_the_weights(net, x):
    del net.layers[3]
    one = pcn.vl_simplenn(net, x, 1)
    first = [[d.copy() for d in r.dzdw] for r in one]
    two = pcn.vl_simplenn(net, x, 1, one, accumulate=True)
    for before, r in zip(first, two):
        for v, w in zip(before, r.dzdw):
            assert np.allclose(2 * v, w, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("depth", [1, 2, 3, 6])
def test_back_prop_depth_stops_after_that_many_layers(net, x, depth):
    res = pcn.vl_simplenn(net, x, 1, backPropDepth=depth)
    assert [r.dzdx is not None for r in res] == [i >= 6 - depth for i in range(7)]


def test_skip_forward_uses_the_outputs_that_are_there(net, x):
    net.layers[3].rate = 0
    forward = pcn.vl_simplenn(net, x, mode="normal")
    ahead = pcn.vl_simplenn(net, x, 1, forward, skipForward=True)
    assert np.allclose(ahead[0].dzdx, pcn.vl_simplenn(net, x, 1)[0].dzdx, rtol=1e-5, atol=1e-6)


def test_matlabs_option_pairs_and_the_flags_of_the_gpu_are_taken(net, x):
    res = pcn.vl_simplenn(net, x, [], [], "Mode", "test", "cudnn", False, "sync", True, "conserveMemory", 1)
    assert np.array_equal(res[-1].x, pcn.vl_simplenn(net, x, mode="test")[-1].x)


def test_a_mode_left_out_is_warned_of_where_it_matters(net, x):
    with pytest.warns(UserWarning, match=r"mode is not given, so b1, d1 \(these differ in test mode\)"):
        pcn.vl_simplenn(net, x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pcn.vl_simplenn(net, x, mode="normal")
        pcn.vl_simplenn(net, x, 1)
        del net.layers[2:4]
        pcn.vl_simplenn(net, x)


def test_a_custom_layer_calls_the_users_functions(x):
    def forward(layer, before, after):
        after.x = layer.factor * before.x
        return after

    def backward(layer, before, after):
        before.dzdx = layer.factor * after.dzdx
        before.dzdw = [np.sum(before.x * after.dzdx)]
        return before

    net = pcn.SimpleNN(layers=[pcn.Struct(type="custom", factor=np.float32(3), forward=forward, backward=backward)])
    res = pcn.vl_simplenn(net, x, np.ones_like(x), mode="test")
    assert np.array_equal(res[1].x, 3 * x) and np.all(res[0].dzdx == 3)
    assert np.isclose(res[0].dzdw[0], x.sum(), rtol=1e-4)


@pytest.mark.parametrize("conserveMemory", [False, True])
def test_a_custom_layer_may_change_results_in_place_and_read_its_output_backward(x, conserveMemory):
    def forward(layer, before, after):
        after.x = np.exp(before.x)

    def backward(layer, before, after):
        before.dzdx = after.x * after.dzdx

    layers = [{"type": "relu", "leak": 0.5}, {"type": "custom", "forward": forward, "backward": backward}]
    net = pcn.vl_simplenn_tidy(pcn.SimpleNN(layers=[*layers, {"type": "relu"}]))
    res = pcn.vl_simplenn(net, x, np.ones_like(x), conserveMemory=conserveMemory)
    y = np.exp(np.where(x > 0, x, x / 2))
    assert np.allclose(res[3].x, y) and np.allclose(res[0].dzdx, np.where(x > 0, 1, 0.5) * y)


def test_a_layer_of_the_users_own_type_runs_in_a_loaded_network(tmp_path, x):
    layers = [{"type": "thrice", "name": "t", "factor": 3.0}, {"type": "relu", "name": "r"}]
    pcn.save(tmp_path / "net.mat", pcn.SimpleNN(layers=layers))
    net = pcn.load(tmp_path / "net.mat")
    assert "thrice" in pcn.vl_simplenn_display(net)[1]
    with pytest.raises(ValueError, match=r"thrice.*in layer 1 't' \(thrice\)"):
        pcn.vl_simplenn(net, x, mode="test")

    class Thrice(pcn.layers.Layer):
        simplenn = "thrice"
        factor = 1.0

        def forward(self, inputs, params):
            return [self.factor * inputs[0]]

    assert np.array_equal(pcn.vl_simplenn(net, x, mode="test")[-1].x, np.maximum(3 * x, 0))


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda net: net.layers[0].update(pad=[1, 2]), r"pad must be 1 or 4 numbers.*in layer 1 'c1' \(conv\)"),
        (lambda net: net.layers[0].update(type="convv"), r"unknown layer type 'convv'; did you mean 'conv'"),
        (lambda net: net.layers[4].weights.__setitem__(0, draw(6, 6, 3, 3)), r"x has 4 channels.*in layer 5 'c2'"),
        (lambda net: net.layers[5].pop("class"), r"labels.*in layer 6 'loss'"),
        (lambda net: net.layers[0].update(weights=[]), r"the layer has no weights.*in layer 1 'c1' \(conv\)"),
        (
            lambda net: net.layers[2].update(weights=[]),
            r"bnorm must have multipliers and biases, got 0.*in layer 3 'b1'",
        ),
        (
            lambda net: net.layers[0].update(weights=[draw(3, 3, 1, 3)]),
            r"x has 2 channels and f 1: 2 groups, which must divide the 3 filters",
        ),
    ],
)
def test_an_error_names_the_layer(net, x, change, message):
    change(net)
    with pytest.raises((ValueError, TypeError), match=message):
        pcn.vl_simplenn(net, x, mode="test")


@pytest.mark.parametrize(
    "options, message",
    [
        ({"mode": "tests"}, "mode must be 'normal' or 'test', got 'tests'"),
        ({"backPropDepth": 0}, "backPropDepth must be a number from 1 up, got 0"),
        ({"skipForward": True}, "skipForward runs backward only; dzdy must be given"),
        ({"res": [1, 2]}, "res must have 7 entries for 6 layers, got 2"),
        ({"conserveMemry": True}, "unknown option 'conserveMemry'; did you mean 'conserveMemory'"),
        ({"dzdy": np.zeros((2, 2))}, "dzdy"),
    ],
)
def test_wrong_options_are_refused(net, x, options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        pcn.vl_simplenn(net, x, **options)


def test_empty_arrays_are_not_given(net, x):
    """MATLAB's [] of translated code."""
    none = np.zeros((0, 0))
    y = pcn.vl_simplenn(net, x, none, none, mode="test")[-1].x
    assert y.tobytes() == pcn.vl_simplenn(net, x, mode="test")[-1].x.tobytes()


def test_moving_to_the_cpu_changes_nothing(net):
    assert pcn.vl_simplenn_move(net, "cpu") is net
    with pytest.raises(ValueError, match=r"vl_simplenn_move: the device must be 'cpu', 'gpu', .* got 'moon'"):
        pcn.vl_simplenn_move(net, "moon")
    with pytest.raises(TypeError, match="vl_simplenn_move: net must be a SimpleNN"):
        pcn.vl_simplenn_move([], "cpu")


@pytest.mark.parametrize("depth", [np.inf, 1])
def test_without_inputDer_only_the_derivative_of_the_first_convolutions_input_is_left_out(depth):
    layers = [{"type": "conv", "weights": [draw(3, 3, c, 4), draw(4)], "pad": 1} for c in (2, 4)]
    net, x, dzdy = pcn.vl_simplenn_tidy({"layers": layers}), draw(5, 5, 2, 3), draw(5, 5, 4, 3)
    whole, part = (pcn.vl_simplenn(net, x, dzdy, mode="normal", inputDer=i, backPropDepth=depth) for i in (True, False))
    first = 0 if depth > 1 else 1
    assert part[first].dzdx is None and whole[first].dzdx is not None
    for a, b in zip(part[first + 1 :], whole[first + 1 :]):
        assert np.array_equal(a.dzdx, b.dzdx)
    for a, b in zip(part[first:2], whole[first:2]):
        assert all(np.array_equal(p, q) for p, q in zip(a.dzdw, b.dzdw))
