"""Looking inside: filters, responses, gradients of class scores, occlusion, and how large numbers are."""

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet import view

RNG = np.random.default_rng(0)


def draw(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


@pytest.fixture(params=["simplenn", "dagnn"])
def net(request):
    layers = [
        {"type": "conv", "name": "c1", "weights": [draw(3, 3, 3, 4), draw(4)]},
        {"type": "tanh", "name": "t1"},
        {"type": "dropout", "name": "d1", "rate": 0.5},
        {"type": "conv", "name": "c2", "weights": [draw(6, 6, 4, 5), draw(5)]},
        {"type": "softmaxloss", "name": "loss"},
    ]
    simple = pcn.vl_simplenn_tidy(pcn.SimpleNN(layers=layers))
    return simple if request.param == "simplenn" else pcn.DagNN.fromSimpleNN(simple, canonicalNames=True)


@pytest.fixture
def image():
    return draw(8, 8, 3)


def by_hand(net, x):
    """Scores in double precision."""
    f = [np.asarray(w, float) for w in weights(net)]
    hidden = np.tanh(pcn.vl_nnconv(x[..., None].astype(float), f[0], f[1]))
    return pcn.vl_nnconv(hidden, f[2], f[3])[0, 0, :, 0]


def weights(net):
    if hasattr(net, "params"):
        return [p.value for p in net.params]
    return [w for layer in net.layers for w in layer.weights]


def test_filters_of_three_channels_are_shown_in_colour_each_scaled_by_itself(net):
    tiles = view.filters(net, "c1", spacing=1)
    assert tiles.shape == (7, 7, 3) and tiles.min() == 0 and tiles.max() == 1
    f = weights(net)[0][..., 0]
    assert np.allclose(tiles[:3, :3], (f - f.min()) / (f.max() - f.min()), atol=1e-6)


def test_filters_of_other_depths_are_shown_channel_by_channel(net):
    assert view.filters(net, "c2").shape == (4 * 6 + 3, 5 * 6 + 4)


def test_responses_are_what_a_layer_gives_in_test_mode(net, image):
    f = weights(net)
    expected = pcn.vl_nnconv(image[..., None], f[0], f[1])[..., 0]
    assert np.allclose(view.responses(net, image, 0), expected, atol=1e-5)
    assert np.allclose(view.responses(net, image, "t1"), np.tanh(expected), atol=1e-5)
    assert np.allclose(view.responses(net, image, "d1"), np.tanh(expected), atol=1e-5)


def test_scores_leave_the_loss_out(net, image):
    assert np.allclose(view.scores(net, image), by_hand(net, image), rtol=1e-4, atol=1e-4)


def test_a_softmax_is_no_part_of_the_scores_so_that_sure_networks_have_a_gradient(net, image):
    plain = view.class_gradient(net, image, 2)
    if hasattr(net, "params"):
        net.removeLayer("loss")
        net.addLayer("prob", pcn.dagnn.SoftMax(), net.getOutputs(), ["prob"])
    else:
        net.layers[-1] = pcn.Struct(type="softmax", name="prob", weights=[])
    assert np.allclose(view.scores(net, image), by_hand(net, image), rtol=1e-4, atol=1e-4)
    assert np.array_equal(view.class_gradient(net, image, 2), plain)
    assert np.isclose(view.responses(net, image, "prob").sum(), 1)
    assert view.statistics(net, image)[-1].layer == "prob"


def test_a_last_layer_of_matlab_functions_is_left_out(image):
    last = {"type": "custom", "name": "mine", "forward": pcn.records.Opaque("function_handle", "mine"), "weights": []}
    net = pcn.SimpleNN(layers=[{"type": "conv", "name": "c", "weights": [draw(8, 8, 3, 2), draw(2)]}, last])
    net = pcn.vl_simplenn_tidy(net)
    with pytest.warns(UserWarning, match="'mine' .* is left out"):
        assert view.class_gradient(net, image, 1).shape == (8, 8, 3)


def test_weights_are_told_of_also_where_the_network_cannot_run():
    net = pcn.vl_simplenn_tidy(pcn.SimpleNN(layers=[{"type": "noffset", "param": [1, 0.5]}]))
    net.layers += [
        pcn.Struct(type="conv", name="c", weights=[draw(3, 3, 1, 4), draw(4)]),
        pcn.Struct(type="unheard-of"),
    ]
    assert [(r.layer, r.what) for r in view.statistics(net)] == [("c", "weights 1"), ("c", "weights 2")]
    assert view.filters(net).shape == (7, 7)


@pytest.mark.parametrize("label", [1, 5])
def test_the_gradient_is_that_along_a_random_direction(net, image, label):
    g = view.class_gradient(net, image, label)
    direction, step = RNG.standard_normal(image.shape), 1e-5
    ends = [by_hand(net, image + s * direction)[label - 1] for s in (step, -step)]
    assert g.shape == image.shape
    assert np.isclose(np.sum(g * direction), (ends[0] - ends[1]) / (2 * step), rtol=1e-3)


def test_adding_the_gradient_raises_the_score_step_by_step(net, image):
    found = view.add_gradient(net, image, 3, step=0.01, iterations=5)
    assert np.all(np.diff(found.scores) > 0) and found.scores.size == 6
    assert 0 < np.abs(found.image - image).max() <= 5 * 0.01 + 1e-6
    assert np.isclose(found.scores[-1], by_hand(net, found.image)[2], rtol=1e-3)
    kept = view.add_gradient(net, image, 3, step=5.0, iterations=2, limits=(-1, 1)).image
    assert kept.min() >= -1 and kept.max() <= 1 and kept.dtype == np.float32


def test_occlusion_says_how_much_a_patch_matters(net, image):
    found = view.occlusion_map(net, image, 2, window=4, stride=2, fill=0.5, batchSize=4)
    assert found.shape == (3, 3)
    covered = image.copy()
    covered[2:6, 4:8] = 0.5
    assert np.isclose(found[1, 2], by_hand(net, image)[1] - by_hand(net, covered)[1], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda net, x: view.class_gradient(net, x, 6), "class 6 of 5; classes count from 1"),
        (lambda net, x: view.class_gradient(net, x, 0), "class 0 of 5"),
        (lambda net, x: view.occlusion_map(net, x, 1, window=9), "window 9, stride 4 do not fit an image of 8x8"),
        (lambda net, x: view.scores(net, np.zeros((8, 8, 3, 2), np.float32)), "must be one image, got a batch of 2"),
        (lambda net, x: view.filters(net, "t1"), "'t1'"),
        (lambda net, x: view.responses(net, x, "c9"), "c9"),
    ],
)
def test_what_cannot_be_looked_at_is_refused(net, image, call, message):
    with pytest.raises((ValueError, KeyError), match=message):
        call(net, image)


@pytest.mark.parametrize("layer", [5, 99, -9, "c11", "", 1.0, None, True, ["c1"]])
@pytest.mark.parametrize(
    "fn, look",
    [
        ("view.filters", lambda net, x, layer: view.filters(net, layer)),
        ("view.responses", lambda net, x, layer: view.responses(net, x, layer)),
        ("image_coordinates", lambda net, x, layer: view.image_coordinates(net, [[0, 0]], layer)),
    ],
)
def test_a_layer_that_is_not_there_is_refused_with_those_that_are(net, image, fn, look, layer):
    if layer is None and fn != "view.responses":
        pytest.skip("it stands for the network's own choice")
    graph = isinstance(net, pcn.DagNN)
    other = "" if not graph else " or parameter" if fn == "view.filters" else " or variable"
    with pytest.raises(ValueError) as refused:
        look(net, image, layer)
    said = str(refused.value)
    assert said.startswith(f"{fn}: layer must be the name of a layer{other}, or a number from 0 to ")
    assert f", got {layer!r}; " in said and "\n" not in said
    assert "; did you mean 'c" in said if layer == "c11" else "; there are c1, t1, d1, c2" in said


def test_layers_are_found_by_position_too(net, image):
    assert np.array_equal(view.responses(net, image, 1), view.responses(net, image, "t1"))
    assert np.array_equal(view.responses(net, image, np.int64(-1)), view.responses(net, image, "c2"))
    assert np.array_equal(view.filters(net, 3), view.filters(net, "c2"))
    for layer, place in ((0, 1), ("c1", 1), (3, 3.5), ("c2", 3.5)):
        assert view.image_coordinates(net, [[0, 0]], layer).tolist() == [[place, place]]


def test_statistics_name_weights_and_outputs(net, image):
    rows = view.statistics(net, image)
    assert [(r.layer, r.what) for r in rows if r.layer == "c1"] == [
        ("c1", "weights 1"),
        ("c1", "weights 2"),
        ("c1", "output"),
    ]
    first = rows[0]
    assert first.size == 108 and np.isclose(first.mean, weights(net)[0].mean(), atol=1e-6)
    lines = view.statistics_text(rows).splitlines()
    assert len(lines) == len(rows) + 1 and lines[0].split()[:3] == ["layer", "what", "size"]


def test_histograms_hold_every_value(net, image):
    pytest.importorskip("matplotlib")
    rows = view.statistics(net, image)
    axes = view.histograms(rows).ravel()
    for ax, row in zip(axes, rows):
        assert sum(p.get_height() for p in ax.patches) == row.size


def test_diagnose_finds_the_weights_of_old_networks_under_their_names_of_then():
    conv = {"type": "conv", "name": "c", "filters": np.ones((1, 1, 2, 3)), "biases": np.full(3, 2.0)}
    rows = pcn.vl_simplenn_diagnose({"layers": [conv, {"type": "relu", "name": "r"}]}).splitlines()[1:]
    assert [row.split()[:5] for row in rows] == [["c", "weights", "1", "6", "1"], ["c", "weights", "2", "3", "2"]]


@pytest.mark.parametrize("net", ["simplenn"], indirect=True)
def test_diagnose_tells_of_weights_outputs_and_derivatives_in_text_and_as_a_picture(net, image):
    net.layers[-1]["class"] = np.array([2])
    res = pcn.vl_simplenn(net, image, 1)
    text = pcn.vl_simplenn_diagnose(net, res)
    kinds = [line[5:16].strip() for line in text.splitlines()[1:] if line.startswith("c1")]
    assert len(kinds) == 6 and {"weights 1", "dzdw 2", "output", "dzdx"} <= {" ".join(k.split()[:2]) for k in kinds}
    assert len(pcn.vl_simplenn_diagnose(net).splitlines()) == 5
    pytest.importorskip("matplotlib")
    axes = view.diagnosis(net, res)
    assert [ax.get_title() for ax in axes] == ["weights 1", "weights 2", "dzdw 1", "dzdw 2", "output", "dzdx"]
    assert [t.get_text() for t in axes[0].get_xticklabels()] == ["c1", "c2"]
    fig = axes[0].figure
    fig.canvas.draw()
    (legend,) = fig.legends
    assert [t.get_text() for t in legend.get_texts()] == ["smallest to largest", "mean and deviation"]
    assert not any(legend.get_window_extent().overlaps(ax.get_tightbbox()) for ax in axes)
