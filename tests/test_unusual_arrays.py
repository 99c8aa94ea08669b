"""Layers, networks, training, files and pictures with arrays of every kind: as with plain ones, and none is changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from array_kinds import REFUSED, REORDERED, RIGHT, bits, made
from layers.test_registry import CASES, LAYERS, parameters, run

import pyconvnet as pcn
from pyconvnet import backends, jitter, view
from pyconvnet.augment import augment
from pyconvnet.models import preprocess

random = np.random.default_rng(11)
IMAGES = random.standard_normal((12, 10, 2, 8)).astype(np.float32)
LABELS = np.arange(8) % 3 + 1.0
WEIGHTS = {
    name: np.asfortranarray(random.standard_normal(shape), np.float32)
    for name, shape in {
        "f1": (3, 3, 2, 6),
        "b1": (1, 6),
        "g": (6, 1),
        "o": (6, 1),
        "f2": (6, 5, 6, 3),
        "b2": (1, 3),
    }.items()
}
MOMENTS = np.asfortranarray(np.stack([np.zeros(6), np.ones(6)], axis=1), np.float32)


def chain(weights: dict[str, np.ndarray], moments: np.ndarray = MOMENTS) -> Any:
    w = weights
    layers = [
        {"type": "conv", "weights": [w["f1"], w["b1"]], "pad": 1, "name": "conv1"},
        {"type": "bnorm", "weights": [w["g"], w["o"], moments]},
        {"type": "relu", "name": "relu1"},
        {"type": "pool", "pool": 2, "stride": 2},
        {"type": "conv", "weights": [w["f2"], w["b2"]]},
        {"type": "softmaxloss"},
    ]
    return pcn.vl_simplenn_tidy(pcn.SimpleNN(layers=[pcn.Struct(r) for r in layers]))


def graph(weights: dict[str, np.ndarray], moments: np.ndarray = MOMENTS) -> pcn.DagNN:
    net = pcn.DagNN.fromSimpleNN(chain(WEIGHTS), canonicalNames=True)
    for param, value in zip(net.params, [*list(weights.values())[:4], moments, weights["f2"], weights["b2"]]):
        param.value = value
    return net


def trained(net: Any, images: np.ndarray) -> list[np.ndarray]:
    imdb = {"images": {"data": images, "labels": LABELS, "set": np.array([1] * 6 + [2] * 2)}}
    options = {"batchSize": 3, "numEpochs": 2, "expDir": None, "verbose": False, "plotStatistics": False}
    if isinstance(net, pcn.DagNN):

        def batch(imdb, at):
            return {"input": imdb["images"]["data"][..., at], "label": imdb["images"]["labels"][at]}

        net, _ = pcn.cnn_train_dag(net, imdb, batch, **options)
        return [p.value for p in net.params]

    def pair(imdb, at):
        return imdb["images"]["data"][..., at], imdb["images"]["labels"][at]

    net, _ = pcn.cnn_train(net, imdb, pair, **options)
    return [w for layer in net.layers for w in layer.get("weights") or ()]


def evaluated(net: Any, images: np.ndarray) -> list[np.ndarray]:
    if isinstance(net, pcn.DagNN):
        net.eval({"input": images, "label": LABELS}, {"objective": 1})
        return [net.vars["objective"].value, *(p.der for p in net.params)]
    net.layers[-1]["class"] = LABELS
    res = pcn.vl_simplenn(net, images, 1, mode="normal")
    return [res[-1].x, res[0].dzdx, *(d for r in res for d in r.dzdw)]


def same(found: Any, wanted: Any, kind: str, tolerance: float = 1e-4) -> None:
    """To the bit where the order in memory is the same; sums may be taken in that order."""
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted):
        assert a.shape == b.shape and a.dtype == b.dtype, kind
        if kind in REORDERED:
            assert np.abs(a - b).max(initial=0) <= tolerance * max(1, np.abs(b).max(initial=0)), kind
        else:
            assert bits(a) == bits(b), kind


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name, sample", CASES)
def test_a_layer_computes_as_with_plain_arrays(name, sample, dtype, tmp_path):
    inputs = [np.array(x, dtype, order="F") for x in sample.inputs]
    params = [np.array(p, dtype, order="F") for p in parameters(LAYERS[name], sample)]
    y, *_ = run(LAYERS[name], sample, inputs, params)
    d = np.array(np.random.default_rng(2).standard_normal(np.shape(y)), dtype, order="F")
    y, *ders = run(LAYERS[name], sample, inputs, params, d)
    for kind in RIGHT:
        given = [[made(kind, a, tmp_path) for a in group] for group in (inputs, params, [d])]
        before = [bits(a) for group in given for a in group]
        found, *others = run(LAYERS[name], sample, given[0], given[1], given[2][0])
        same([found], [y], kind)
        for mine, theirs in zip(others, ders):
            assert [a is None for a in mine] == [a is None for a in theirs]
            same([a for a in mine if a is not None], [a for a in theirs if a is not None], kind)
        assert [bits(a) for group in given for a in group] == before, kind


@pytest.mark.parametrize("make", [chain, graph])
@pytest.mark.parametrize("work", [evaluated, trained])
@pytest.mark.parametrize("kind", RIGHT)
def test_a_network_runs_and_trains_as_with_plain_arrays(make, work, kind, tmp_path):
    wanted = work(make(WEIGHTS), np.asfortranarray(IMAGES))
    weights = {name: made(kind, w, tmp_path) for name, w in WEIGHTS.items()}
    moments, images = made(kind, MOMENTS, tmp_path), made(kind, np.asfortranarray(IMAGES), tmp_path)
    before = [bits(a) for a in (*weights.values(), moments, images)]
    same(work(make(weights, moments), images), wanted, kind, 1e-3)
    assert [bits(a) for a in (*weights.values(), moments, images)] == before


@pytest.mark.parametrize("make", [chain, graph])
@pytest.mark.parametrize("work", [evaluated, trained])
def test_parameters_that_are_views_of_one_another_are_values_of_their_own(make, work):
    memory = random.standard_normal(2000).astype(np.float32)
    views = {name: memory[i : i + w.size].reshape(w.shape, order="F") for i, (name, w) in enumerate(WEIGHTS.items())}
    copies = {name: v.copy(order="F") for name, v in views.items()}
    before = bits(memory)
    same(work(make(views), IMAGES), work(make(copies), IMAGES), "shared")
    assert bits(memory) == before


@pytest.mark.parametrize("make", [chain, graph])
@pytest.mark.parametrize("kind", RIGHT)
def test_predictions_and_features_are_those_of_plain_arrays(make, kind, tmp_path):
    image = np.asfortranarray(IMAGES[..., :2])

    def results(net: Any, x: np.ndarray) -> list[np.ndarray]:
        return [pcn.predict(net, x), pcn.features(net, x, ["relu1"], prepared=True)["relu1"]]

    weights = {name: made(kind, w, tmp_path) for name, w in WEIGHTS.items()}
    given = made(kind, image, tmp_path)
    before = bits(given)
    same(results(make(weights, made(kind, MOMENTS, tmp_path)), given), results(make(WEIGHTS), image), kind)
    assert bits(given) == before


@pytest.mark.parametrize("kind", ["big-endian", "masked", "object", "complex"])
def test_what_a_network_cannot_compute_with_is_refused_by_the_name_of_the_layer(kind):
    x = REFUSED[kind](np.asfortranarray(IMAGES))
    with pytest.raises((TypeError, ValueError), match=r"x .* layer 1|vl_simplenn: x"):
        pcn.vl_simplenn(chain(WEIGHTS), x, mode="test")
    weights = {**WEIGHTS, "f1": REFUSED[kind](WEIGHTS["f1"])}
    with pytest.raises((TypeError, ValueError), match=r"f .* layer 1"):
        pcn.vl_simplenn(chain(weights), IMAGES, mode="test")


STEPS = [
    jitter.translate(2),
    jitter.mirror(),
    jitter.rotate(20),
    jitter.scale(0.8, 1.2),
    jitter.warp(0.5),
    jitter.noise(0.1),
    jitter.context,
]


@pytest.mark.parametrize("kind", RIGHT)
def test_images_are_changed_and_prepared_as_plain_ones(kind, tmp_path):
    images = np.asfortranarray(np.abs(IMAGES))
    given = made(kind, images, tmp_path)
    before = bits(given)
    for step in STEPS:
        found, wanted = (step(x, np.random.default_rng(4)) for x in (given, images))
        assert np.array_equal(found, wanted)
    change = jitter.compose(jitter.mirror(), jitter.noise(0.1))
    found, wanted = (augment({"images": {"data": x, "set": np.ones(8)}}, change) for x in (given, images))
    assert np.array_equal(found.images.data, wanted.images.data)
    net = chain(WEIGHTS)
    net.meta.normalization = pcn.Struct(imageSize=[8, 8, 2], averageImage=np.array([0.1, 0.2]), border=[2, 2])
    assert np.array_equal(preprocess(net, given), preprocess(net, images))
    for draw in (view.vl_imarray, view.vl_imarraysc):
        assert np.array_equal(draw(given[:, :, 0]), draw(images[:, :, 0]))
    assert bits(given) == before


@pytest.mark.parametrize("kind", [*RIGHT, "big-endian"])
def test_files_hold_the_values_of_any_array(kind, tmp_path):
    def as_kind(a: np.ndarray) -> np.ndarray:
        return REFUSED[kind](a) if kind in REFUSED else made(kind, a, tmp_path)

    weights = {name: as_kind(w) for name, w in WEIGHTS.items()}
    before = [bits(w) for w in weights.values()]
    pcn.save(tmp_path / "net.mat", chain(weights, as_kind(MOMENTS)))
    back = pcn.load(tmp_path / "net.mat")
    found = [w for layer in back.layers for w in layer.get("weights") or ()]
    wanted = [w for layer in chain(WEIGHTS).layers for w in layer.get("weights") or ()]
    same(found, wanted, "files")
    assert [bits(w) for w in weights.values()] == before


@pytest.mark.parametrize("kind", RIGHT)
def test_exports_hold_the_values_of_any_array(kind, tmp_path):
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnx")
    weights = {name: made(kind, w, tmp_path) for name, w in WEIGHTS.items()}
    net, plain = chain(weights, made(kind, MOMENTS, tmp_path)), chain(WEIGHTS)
    x = torch.from_numpy(np.ascontiguousarray(IMAGES.transpose(3, 2, 0, 1)))
    with torch.no_grad():
        assert torch.equal(pcn.to_torch(net)(x), pcn.to_torch(plain)(x))
    for path, of in (("a.onnx", net), ("b.onnx", plain)):
        pcn.to_onnx(of, tmp_path / path, inputSize=[12, 10, 2])
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


@pytest.mark.parametrize("kind", [*RIGHT, "big-endian", "masked", "object", "complex", "bool", "float16"])
def test_tables_and_texts_of_any_array_are_written(kind, tmp_path):
    convert = REFUSED.get(kind)
    net = chain({name: convert(w) if convert else made(kind, w, tmp_path) for name, w in WEIGHTS.items()})
    _, text = pcn.vl_simplenn_display(net)
    assert "conv1" in text and "relu1" in text
    assert repr(net) and net._repr_html_()


def test_a_normalization_is_not_mistaken_for_one_whose_bytes_lie_in_another_order():
    backend = backends.of(IMAGES)
    ones = np.ones(2, np.float32)
    first = np.asfortranarray([[1, 3], [2, 4]], np.float32)
    second = np.ascontiguousarray([[1, 2], [3, 4]], np.float32)
    assert first.tobytes(order="A") == second.tobytes(order="A")
    scale, biases = backend.folded_bnorm(None, ones, ones, first)
    assert np.allclose(scale, [1 / 3, 1 / 4]) and np.allclose(biases, [1 - 1 / 3, 1 - 2 / 4])
    first[...] = second  # the same array, whose memory is now [1, 3, 2, 4]
    scale, biases = backend.folded_bnorm(None, ones, ones, first)
    assert np.allclose(scale, [1 / 2, 1 / 4]) and np.allclose(biases, [1 - 1 / 2, 1 - 3 / 4])
