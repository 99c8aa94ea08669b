"""`show --input`: sizes that the network cannot take are refused as predict refuses them."""

import warnings

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet import dagnn
from pyconvnet.cli import main


def shown(capsys, *args):
    code = main(["show", *map(str, args)])
    out = capsys.readouterr()
    return code, out.out, out.err


def said_by_predict(net, size):
    with pytest.raises(ValueError) as error:
        pcn.predict(net, np.zeros((*size, 1), np.float32))
    return f"pyconvnet: {error.value}\n"


def chain():
    """A convolution, its normalization, pooling, and a transposed convolution that crops."""
    weights = np.random.default_rng(0).standard_normal
    return pcn.SimpleNN(
        layers=[
            {"type": "conv", "name": "c", "weights": [weights((3, 3, 2, 4)).astype("f4"), np.zeros(4, "f4")]},
            {"type": "bnorm", "name": "b", "weights": [np.ones(4, "f4"), np.zeros(4, "f4"), np.ones((4, 2), "f4")]},
            {"type": "pool", "name": "p", "pool": 2, "stride": 2},
            {"type": "convt", "name": "t", "weights": [weights((1, 1, 3, 4)).astype("f4"), None], "crop": 1},
        ]
    )


def joined(block):
    """A graph that joins an image with itself, made smaller by strides and then larger."""
    net = pcn.DagNN()
    net.addLayer("small", dagnn.Pooling(poolSize=2, stride=2), "x", "s")
    net.addLayer("large", dagnn.ConvTranspose(size=(2, 2, 3, 3), upsample=2, hasBias=False), "s", "l", "f")
    net.addLayer("join", block, ["x", "l"], "y")
    net.params["f"].value = np.ones((2, 2, 3, 3), np.float32)
    return net


@pytest.mark.parametrize("size", [(2, 9, 2), (9, 9, 5), (3, 9, 2), (5, 9, 2), (9, 9, 1)])
@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("how", [[], ["--json"]])
def test_a_size_that_does_not_fit_is_refused_as_by_predict(capsys, tmp_path, size, graph, how):
    net = pcn.DagNN.fromSimpleNN(chain()) if graph else chain()
    pcn.save(tmp_path / "net.mat", net)
    net = pcn.load(tmp_path / "net.mat")
    assert shown(capsys, tmp_path / "net.mat", "--input", *size, *how) == (1, "", said_by_predict(net, size))
    assert shown(capsys, tmp_path / "net.mat", "--input", 9, 11, 2, *how)[0] == 0


def test_the_normalization_that_comes_first_says_how_many_channels_it_takes(capsys, tmp_path):
    net = pcn.SimpleNN(layers=chain().layers[1:3])
    pcn.save(tmp_path / "net.mat", net)
    assert shown(capsys, tmp_path / "net.mat", "--input", 4, 4, 3) == (1, "", said_by_predict(net, (4, 4, 3)))


@pytest.mark.parametrize("block", [dagnn.Sum(), dagnn.Concat()])
@pytest.mark.filterwarnings("error")
def test_sizes_that_cannot_be_joined_are_one_line(capsys, tmp_path, block):
    pcn.save(tmp_path / "net.mat", joined(block))
    assert shown(capsys, tmp_path / "net.mat", "--input", 6, 8, 3)[::2] == (0, "")
    code, out, err = shown(capsys, tmp_path / "net.mat", "--input", 7, 8, 3)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "input 2 is 6x8x3x1, input 1 is 7x8x3x1" in err and "in layer 'join'" in err


def test_elements_that_do_not_fill_a_size_are_refused(capsys, tmp_path):
    net = pcn.SimpleNN(layers=[{"type": "reshape", "name": "r", "size": [2, 2, 3]}])
    pcn.save(tmp_path / "net.mat", net)
    assert shown(capsys, tmp_path / "net.mat", "--input", 3, 2, 3) == (1, "", said_by_predict(net, (3, 2, 3)))


def test_a_classic_table_is_refused_too(capsys):
    code, out, err = shown(capsys, "lenet", "--classic", "--input", 28, 28, 3)
    assert (code, out) == (1, "") and "x has 3 channels and f 1" in err and "in layer 1 " in err


def test_a_size_in_the_file_that_does_not_fit_is_shown(capsys, tmp_path):
    net = chain()
    net.meta = pcn.Struct(inputSize=np.array([2.0, 2, 2]))
    pcn.save(tmp_path / "net.mat", net)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert shown(capsys, tmp_path / "net.mat")[::2] == (0, "")


def test_layers_of_unknown_types_are_passed_over(capsys, tmp_path):
    net = chain()
    net.layers.insert(1, pcn.Struct(type="mystery", name="m"))
    pcn.save(tmp_path / "net.mat", net)
    assert shown(capsys, tmp_path / "net.mat", "--input", 9, 9, 2)[0] == 0
    assert "in layer 1 'c' (conv), input 2x9x2x1" in shown(capsys, tmp_path / "net.mat", "--input", 2, 9, 2)[2]
