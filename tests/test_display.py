"""Tables: equal to MatConvNet's own, to the letter (matlab_fixtures/display), and what is ours alone."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import scipy.io

import pyconvnet as pcn
from pyconvnet import dagnn, models
from pyconvnet.display import html_table, short_repr, vl_simplenn_display
from pyconvnet.records import Opaque, Struct
from pyconvnet.simplenn import SimpleNN

ROOT = Path(__file__).parent.parent
TEXTS = ROOT / "matlab_fixtures" / "display"
REAL = ROOT.parent / "shared" / "models"
CASES = {case["name"]: case for case in json.loads((TEXTS / "index.json").read_text())}
REAL_CASES = {case["name"]: case for case in json.loads((TEXTS / "real" / "index.json").read_text())}
VARIANTS = ("-batch32", "-in256x320", "-latex", "-csv", "-cols7", "-classic", "-bn")


def network_of(name):
    """The network that a reference table was made from."""
    stem = name
    for variant in VARIANTS:
        stem = stem.replace(variant, "")
    return models.build(stem, init=False, batchNormalization="-bn" in name, deployed="-classic" in name)


@pytest.mark.parametrize("name", CASES)
def test_the_table_equals_matconvnets_to_the_letter(name):
    style = "classic" if "classic" in name else None
    _, text = vl_simplenn_display(network_of(name), *CASES[name]["options"], style=style)
    assert text == (TEXTS / f"{name}.txt").read_text()


@pytest.mark.parametrize("name", [n for n in CASES if "classic" not in n])
def test_info_equals_matconvnets(name):
    info, _ = vl_simplenn_display(network_of(name), *CASES[name]["options"])
    expected = scipy.io.loadmat(TEXTS / f"{name}.info.mat")["info"][0, 0]
    assert list(info) == list(expected.dtype.names)
    for field in expected.dtype.names:
        np.testing.assert_array_equal(info[field], expected[field], err_msg=field)


@pytest.mark.parametrize("tidy", [False, True])
def test_the_classic_table_of_an_old_file_counts_its_momentum(tidy):
    net = pcn.load(TEXTS / "ocr-classic.mat", tidy=tidy)
    assert vl_simplenn_display(net, style="classic")[1] == (TEXTS / "ocr-classic.txt").read_text()


@pytest.mark.skipif(not REAL.is_dir(), reason="needs ../shared/models")
@pytest.mark.parametrize("name", REAL_CASES)
def test_tables_of_networks_made_by_others_equal_matconvnets(name):
    net = pcn.load(REAL / f"{name}.mat")
    expected = (TEXTS / "real" / f"{name}.txt").read_text()
    if name.endswith("bnorm"):  # the reference was made without its loss layer
        net.layers = net.layers[: expected.count("conv|") + expected.count("bnorm|") + expected.count("relu|")]
    assert vl_simplenn_display(net, inputSize=REAL_CASES[name]["inputSize"])[1] == expected


def conv(name, shape, **fields):
    return Struct(type="conv", name=name, weights=[np.zeros(shape, np.float32), np.zeros((shape[3], 1))], **fields)


def odd_network():
    return SimpleNN(
        layers=[
            conv("a_1", (3, 5, 3, 8), stride=np.array([[2, 1]], np.uint8), pad=np.array([[0, 1, 2, 3]]), dilate=2),
            Struct(type="lrnx", name="mystery", stride=3),
            Struct(type="custom", name="mine", forward=Opaque("function_handle", "@(l, a, b) b")),
            conv("b", (2, 2, 8, 4), pad=1),
            Struct(type="loss", name="<loss>"),
        ],
        meta=Struct(inputSize=np.array([[32.0, 48.0, 3.0]])),
    )


@pytest.mark.parametrize("format", ["ascii", "latex", "csv"])
def test_layers_that_are_not_known_are_shown_by_name(golden, format):
    golden(f"display-odd-network.{format}.txt", vl_simplenn_display(odd_network(), format=format)[1])


def test_the_classic_table_writes_unequal_sides_out(golden):
    golden("display-odd-network.classic.txt", vl_simplenn_display(odd_network(), style="classic")[1])


def test_a_notebook_shows_a_row_for_each_layer(golden):
    golden("display-odd-network.html", html_table(odd_network()).replace("<tr>", "\n<tr>") + "\n")
    assert models.build("lenet", init=False)._repr_html_().count("<tr>") == 1 + 1 + 8


def test_a_notebook_shows_a_graph_by_its_layers():
    net = dagnn.DagNN()
    assert net._repr_html_().count("<tr>") == 1
    net.addLayer("c<1>", dagnn.Conv(size=[3, 5, 1, 4], stride=2), "in", "a", ["f", "b"])
    net.addLayer("s", dagnn.Sum(), ["a", "a2"], "y")
    net.addLayer("empty", dagnn.Conv(size=[1, 1, 1, 1], hasBias=False), "y", "z", "g")
    net.params["f"].value, net.params["b"].value = np.ones((3, 5, 1, 4), np.float32), np.ones((4, 1), np.float32)
    rows = [re.findall("<t[hd]>(.*?)</t[hd]>", row) for row in net._repr_html_().split("<tr>")[1:]]
    assert rows == [
        ["layer", "name", "type", "size", "stride", "pad", "inputs", "outputs", "params", "parameters"],
        ["1", "c&lt;1&gt;", "Conv", "3x5x1x4", "2", "0", "in", "a", "f, b", "64 (256B)"],
        ["2", "s", "Sum", "", "", "", "a, a2", "y", "", ""],
        ["3", "empty", "Conv", "1", "1", "0", "y", "z", "g", ""],
    ]
    assert "DagNN(3 layers, 5 vars, 3 params" in net._repr_html_()


def test_repr_is_one_short_line():
    assert repr(models.build("lenet", init=False)) == "SimpleNN(8 layers, 431,080 parameters, input 28x28x1)"
    assert repr(SimpleNN(layers=[], meta=Struct())) == "SimpleNN(0 layers, 0 parameters)"


def test_repr_survives_anything_in_the_fields():
    broken = SimpleNN(layers=["conv", Struct(weights=3), Struct(type="conv")], meta="nothing")
    assert repr(broken) == short_repr(broken) == "SimpleNN(3 layers, 0 parameters)"


def test_an_unknown_input_size_is_shown_as_nan():
    net = models.build("lenet", init=False)
    del net.meta["inputSize"]
    info, text = vl_simplenn_display(net, batchSize=7)
    assert "NaNxNaN" in text and "(for batch size 7)" in text
    assert np.isnan(info.dataSize[0]).all() and info.dataSize[3, 0] == 7


def test_the_input_size_may_leave_out_the_batch():
    net = models.build("lenet", init=False)
    short, full = (vl_simplenn_display(net, inputSize=s)[1] for s in ([40, 40, 1], np.array([[40, 40, 1, 1]])))
    assert short == full != vl_simplenn_display(net)[1]


def test_normalization_gives_the_input_size_where_nothing_else_does():
    net = models.build("lenet", init=False)
    net.meta = Struct(normalization=Struct(imageSize=np.array([[28, 28, 1]], np.uint8)))
    assert vl_simplenn_display(net)[1] == (TEXTS / "lenet-mnist.txt").read_text()


def test_dilation_widens_support_and_receptive_field():
    info, _ = vl_simplenn_display(odd_network())
    np.testing.assert_array_equal(info.support[:, 0], [5, 9])
    np.testing.assert_array_equal(info.receptiveFieldOffset[:, 0], [1 + 2 - 0, 1 + 4 - 2])


def sizes(*layers, size=(8, 8, 3)):
    return vl_simplenn_display(SimpleNN(layers=list(layers)), inputSize=size)[0].dataSize[:, 1:].T.tolist()


def test_without_filters_channels_pass():
    one = Struct(type="conv", weights=[np.zeros((0, 0), np.float32), []], stride=2)
    assert sizes(one, Struct(type="relu")) == [[4, 4, 3, 1]] * 2


def test_nobody_knows_the_channels_of_a_custom_layer_that_does_not_tell():
    opaque = Struct(type="custom", pad=1, getForwardSize=Opaque("function_handle", "@(l, s) s"))
    silent, told, following = sizes(
        opaque, Struct(type="custom", getForwardSize=lambda layer, size: (2, 3, 4, 1)), conv("c", (1, 1, 4, 6))
    )
    assert silent[:2] == [10, 10] and np.isnan(silent[2])
    assert (told, following) == ([2, 3, 4, 1], [2, 3, 6, 1])


def test_an_edited_record_is_read_anew():
    net = models.build("lenet", init=False)
    net.layers[-1].type = "softmax"
    net.layers[1] = dict(net.layers[1], method="avg")
    text = vl_simplenn_display(net)[1]
    assert "softmx|" in text and "apool|" in text
    assert net.layers[1]["method"] == "avg" and "layers" in net


def test_the_network_is_left_as_it_was():
    net = pcn.load(TEXTS / "ocr-classic.mat", tidy=False)
    fields = [list(layer) for layer in net.layers]
    vl_simplenn_display(net)
    assert [list(layer) for layer in net.layers] == fields


@pytest.mark.parametrize(
    "options, message",
    [
        ({"style": "modern"}, "style must be None or 'classic', got 'modern'"),
        ({"style": "classic", "format": "csv"}, "style 'classic' is plain text"),
        ({"format": "html"}, "format must be one of 'ascii', 'latex', 'csv', got 'html'"),
        ({"maxNumColumns": 0}, "maxNumColumns must be a whole number from 1 up, got 0"),
        ({"inputSize": [1, 2, 3, 4, 5]}, "inputSize must be up to 4 numbers"),
        ({"batchsze": 3}, "did you mean 'batchSize'"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        vl_simplenn_display(models.build("lenet", init=False), **options)


def test_something_that_is_no_network_is_refused():
    with pytest.raises(TypeError, match="net must be a SimpleNN"):
        vl_simplenn_display(np.zeros(3))


def test_the_input_size_may_be_a_plain_list():
    net = pcn.SimpleNN(layers=[{"type": "relu"}], meta={"inputSize": [4, 5, 3]})
    assert vl_simplenn_display(net)[0].dataSize[:, 0].tolist() == [4, 5, 3, 1]
