"""Networks run on arrays of any backend; the library itself never looks into one."""

import boxes
import numpy as np
import pytest

from pyconvnet import DagNN, models, predict, vl_simplenn

BACKEND = boxes.register()


@pytest.fixture
def lenet():
    net = models.build("lenet", seed=0)
    for layer in net.layers:
        if "weights" in layer:
            layer.weights = [np.asarray(w, np.float64) for w in layer.weights]
    return net


@pytest.fixture
def image():
    return np.random.default_rng(0).standard_normal((28, 28, 1, 3))


def in_boxes(net):
    """The same network, its weights in boxes."""
    net = net.copy()
    net.layers = [type(r)(r) for r in net.layers]
    for layer in net.layers:
        if "weights" in layer:
            layer.weights = [boxes.Box(w) for w in layer.weights]
    return net


def equal(box, array):
    assert type(box) is boxes.Box
    np.testing.assert_allclose(box.a, array, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("conserve", [False, True])
def test_lenet_runs_forward_and_backward(lenet, image, conserve):
    lenet.layers[-1]["class"] = np.array([1, 2, 3])
    ours, theirs = in_boxes(lenet), lenet
    BACKEND.asked.clear()
    res = vl_simplenn(ours, boxes.Box(image), 1, mode="normal", conserveMemory=conserve)
    expected = vl_simplenn(theirs, image, 1, mode="normal", conserveMemory=conserve)
    equal(res[-1].x, expected[-1].x)
    equal(res[0].dzdx, expected[0].dzdx)
    for mine, other in zip(res, expected):
        assert len(mine.dzdw) == len(other.dzdw)
        for a, b in zip(mine.dzdw, other.dzdw):
            equal(a, b)
    assert BACKEND.asked["conv"] == BACKEND.asked["conv_backward"] == 4
    assert BACKEND.asked["pool"] == BACKEND.asked["pool_backward"] == 2


def test_predictions_are_made_in_boxes(lenet, image):
    equal(predict(in_boxes(lenet), boxes.Box(image)), predict(lenet, image))


def test_a_graph_with_all_its_parts_runs_in_boxes(lenet, image):
    results = []
    for make, net in ((boxes.Box, in_boxes(lenet)), (lambda a: a, lenet)):
        dag = DagNN.fromSimpleNN(net, canonicalNames=True)
        dag.rebuild()
        for param, value in zip(dag.params, [w for r in lenet.layers for w in r.get("weights") or ()]):
            param.value = make(value)
        inputs = {"input": make(image), "label": np.array([1, 2, 3])}
        dag.eval(inputs, {"objective": 1})
        results.append((dag.vars["objective"].value, [p.der for p in dag.params], dag.layers[-1].block.average))
    (y, ders, average), (y0, ders0, average0) = results
    equal(y, y0)
    assert average == pytest.approx(average0, rel=1e-12)
    for a, b in zip(ders, ders0):
        equal(a, b)
