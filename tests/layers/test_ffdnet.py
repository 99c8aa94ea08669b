"""SubP and NoiseMap: files of FFDNet load, run and are given back; what does not fit is refused."""

import numpy as np
import pytest
import scipy.io

import pyconvnet as pcn
from pyconvnet.layers import NoiseMap, SubP

rng = np.random.default_rng(6)


def filters(*shape):
    return (rng.standard_normal(shape) / np.sqrt(np.prod(shape[:3]))).astype(np.float32)


def ffdnet_file(path, channels=1, levels=1, width=6, loss=False):
    """A file with the layers of FFDNet_gray.mat, as its program makes them, but fewer and narrower."""
    sizes = [(4 * channels + levels, width), (width, width), (width, 4 * channels)]
    layers = [{"type": "SubP", "scale": 0.5}, {"type": "concat"}]
    for i, (depth, count) in enumerate(sizes):
        weights = np.empty((1, 2), object)
        weights[0] = [filters(3, 3, depth, count), filters(count, 1)]
        layers.append(
            {"type": "conv", "weights": weights, "stride": 1, "pad": 1, "dilate": 1, "opts": np.empty((0, 0))}
        )
        layers += [{"type": "relu", "leak": 0}] * (i < 2)
    layers.append({"type": "SubP", "scale": 2})
    layers += [{"type": "loss"}] * loss
    cell = np.empty((1, len(layers)), object)
    cell[0] = layers
    scipy.io.savemat(path, {"net": {"layers": cell}})
    return path


def expected(net, x, sigmas):
    """The network as vl_ffdnet_concise runs it, written out."""
    y = np.concatenate([x[a::2, b::2, c : c + 1] for c in range(x.shape[2]) for b in (0, 1) for a in (0, 1)], 2)
    level = np.broadcast_to(np.reshape(sigmas, (1, 1, -1, 1)), (*y.shape[:2], np.size(sigmas), y.shape[3]))
    y = np.concatenate([y, level.astype(x.dtype)], 2)
    for i in (2, 4, 6):
        y = pcn.vl_nnconv(y, *net.layers[i].weights, pad=1)
        y = np.maximum(y, 0) if i < 6 else y
    out = np.zeros_like(x)
    for i in range(y.shape[2]):
        out[i % 4 % 2 :: 2, i % 4 // 2 :: 2, i // 4] = y[:, :, i]
    return out


@pytest.mark.parametrize("channels, levels", [(1, 1), (3, 1), (3, 6)])
@pytest.mark.parametrize("loss", [False, True])
def test_files_of_ffdnet_load_and_run(tmp_path, channels, levels, loss):
    net = pcn.load(ffdnet_file(tmp_path / "FFDNet.mat", channels, levels, loss=loss))
    x = rng.uniform(size=(10, 8, channels, 2)).astype(np.float32)
    net.layers[1].sigma = sigmas = np.linspace(0.1, 0.2, levels)
    y = pcn.predict(net, x)
    assert y.shape == x.shape and np.allclose(y, expected(net, x, sigmas), atol=1e-6)
    net.layers[1].sigma = sigmas + 0.1
    assert np.allclose(pcn.predict(net, x), expected(net, x, sigmas + 0.1), atol=1e-6)
    pcn.save(tmp_path / "again.mat", net)
    again = pcn.load(tmp_path / "again.mat")
    assert np.array_equal(pcn.predict(again, x), pcn.predict(net, x))
    assert again.layers[0].scale == 0.5 and again.layers[-1 - loss].scale == 2


def test_a_network_without_a_noise_level_says_how_to_give_one(tmp_path):
    net = pcn.load(ffdnet_file(tmp_path / "FFDNet.mat"))
    with pytest.raises(ValueError, match=r"no noise level: set the layer's sigma, as in net.layers\[1\].sigma = 25"):
        pcn.predict(net, np.zeros((8, 8), np.float32))


def test_tables_know_its_sizes(tmp_path):
    net = pcn.load(ffdnet_file(tmp_path / "FFDNet.mat"))
    net.meta.inputSize = [32, 32, 1]
    net.layers[1].sigma = 0.1
    info, text = pcn.vl_simplenn_display(net, batchSize=1)
    assert [tuple(s) for s in np.array(info.dataSize).T][1:3] == [(16, 16, 4, 1), (16, 16, 5, 1)]
    assert tuple(np.array(info.dataSize).T[-1]) == (32, 32, 1, 1)
    assert "SubP" in text and "concat" in text
    graph = pcn.DagNN.fromSimpleNN(net)
    assert graph.getVarSizes({"x0": (32, 32, 1, 2)})[-1] == (32, 32, 1, 2)


def test_receptive_fields_are_those_of_steps_of_s_and_1_in_s():
    down, up = SubP(scale=0.5).getReceptiveFields(), SubP(scale=2).getReceptiveFields()
    assert down == {"size": (2, 2), "stride": (2, 2), "offset": (1.5, 1.5)}
    # the first two output pixels lie a quarter of a pixel to both sides of the first of the input
    assert up.stride == (0.5, 0.5) and up.offset == (0.75, 0.75)


def test_a_graph_takes_the_level_as_an_input_of_each_image(tmp_path):
    net = pcn.load(ffdnet_file(tmp_path / "FFDNet.mat"))
    graph = pcn.DagNN()
    graph.addLayer("down", SubP(scale=0.5), "input", "low")
    graph.addLayer("level", NoiseMap(), ["low", "sigma"], "both")
    graph.addLayer("conv", pcn.dagnn.Conv(size=[3, 3, 5, 4], pad=1), "both", "wide", ["f", "b"])
    graph.addLayer("up", SubP(), "wide", "output")
    graph.params["f"].value, graph.params["b"].value = filters(3, 3, 5, 4), filters(4, 1)
    x = rng.uniform(size=(8, 8, 1, 3)).astype(np.float32)
    levels = np.array([0.1, 0.2, 0.3], np.float32)
    y = pcn.predict(graph, {"input": x, "sigma": levels.reshape(1, 1, 1, 3)})
    for i, level in enumerate(levels):
        one = pcn.predict(graph, {"input": x[..., i : i + 1], "sigma": level.reshape(1, 1, 1, 1)})
        assert np.allclose(one, y[..., i : i + 1], atol=1e-6)
    chain = pcn.DagNN.fromSimpleNN(net)
    chain.layers["layer2"].block.sigma = 0.2
    net.layers[1].sigma = 0.2
    assert np.allclose(pcn.predict(chain, x), pcn.predict(net, x), atol=1e-6)


X = rng.standard_normal((4, 6, 2, 3)).astype(np.float32)
LEVELS = rng.uniform(size=(2, 3))


@pytest.mark.parametrize(
    "sigma, level",
    [
        (0.5, np.full((1, 1, 1, 1), 0.5)),
        (np.array([[0.5]]), np.full((1, 1, 1, 1), 0.5)),
        ([0.1, 0.2], np.reshape([0.1, 0.2], (1, 1, 2, 1))),
        (np.array([[0.1], [0.2]]), np.reshape([0.1, 0.2], (1, 1, 2, 1))),
        (LEVELS, LEVELS[None, None]),
        (LEVELS[:, :1].T, LEVELS[None, None, :, :1]),
        (LEVELS[None, None, :1], LEVELS[None, None, :1]),
        (np.arange(24.0).reshape(4, 6), np.arange(24.0).reshape(4, 6, 1, 1)),
        (np.arange(72.0).reshape(4, 6, 1, 3), np.arange(72.0).reshape(4, 6, 1, 3)),
    ],
)
def test_a_level_is_a_number_or_one_for_each_channel_image_or_pixel(sigma, level):
    block = NoiseMap(sigma=sigma)
    (y,) = block.forward([X], [])
    full = np.broadcast_to(level, (4, 6, level.shape[2], 3)).astype(np.float32)
    assert y.dtype == np.float32 and np.array_equal(y, np.concatenate([X, full], 2))
    assert block.getOutputSizes([X.shape]) == [y.shape]


@pytest.mark.parametrize(
    "sigma, error, message",
    [
        (
            np.ones((5, 6)),
            ValueError,
            "sigma is 5x6; for x of 4x6x2x3 it must be one number, P numbers, P x 3, or 4",
        ),
        (np.ones((2, 4)), ValueError, "sigma is 2x4; "),
        (np.ones((8, 12, 1, 1)), ValueError, "sigma is 8x12x1x1; "),
        ("loud", TypeError, "sigma must be numbers, got str"),
    ],
)
def test_a_level_that_does_not_fit_is_refused(sigma, error, message):
    with pytest.raises(error, match="NoiseMap: " + message):
        NoiseMap(sigma=sigma).forward([X], [])
