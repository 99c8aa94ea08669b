"""vl_simplenn_tidy: networks given as plain dicts."""

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet.records import StructArray


def given(inside):
    size = np.array([[4, 4, 3]])
    record = {"normalization": {"imageSize": size}, "inputs": [{"name": "data", "size": size}]}
    return {"layers": [{"type": "relu"}], **({"meta": record} if inside else record)}


@pytest.mark.parametrize("inside", [True, False], ids=["in meta", "beside the layers"])
def test_records_of_meta_have_attributes(inside):
    plain = given(inside)
    net = pcn.vl_simplenn_tidy(plain)
    where = plain["meta"] if inside else plain
    assert net.meta.normalization.imageSize is where["normalization"]["imageSize"]
    assert net.meta.inputs[0].name == "data"
    assert type(where["normalization"]) is dict and type(where["inputs"][0]) is dict  # the given one stays as it was
    assert pcn.DagNN.fromSimpleNN(plain).meta.normalization.imageSize.tolist() == [[4, 4, 3]]


def test_what_has_attributes_already_is_shared():
    classes = ["ant", "bee"]
    inputs = StructArray([pcn.Struct(name="data")])
    normalization = pcn.Struct(imageSize=np.ones((1, 3)))
    meta = pcn.Struct(classes=classes, inputs=inputs, normalization=normalization, mixed=pcn.Struct(deep={"a": 1}))
    net = pcn.vl_simplenn_tidy({"layers": [], "meta": meta})
    assert net.meta.classes is classes and net.meta.inputs is inputs and net.meta.normalization is normalization
    assert net.meta.mixed.deep.a == 1


@pytest.mark.parametrize(
    "names, want",
    [
        ([None, None, None], ["layer1", "layer2", "layer3"]),
        (["layer2", None, ""], ["layer2", "layer2_1", "layer3"]),
        ([None, "layer1", "layer1_1"], ["layer1_2", "layer1", "layer1_1"]),
        (["layer2_1", None, "layer2"], ["layer2_1", "layer2_2", "layer2"]),
    ],
)
def test_a_layer_without_a_name_gets_one_that_no_other_layer_has(names, want):
    layers = [{"type": "conv", "weights": [np.full((1, 1, 1, 1), i + 2.0), []], "name": n} for i, n in enumerate(names)]
    net = pcn.vl_simplenn_tidy({"layers": layers})
    assert [layer.name for layer in net.layers] == want
    graph = pcn.DagNN.fromSimpleNN({"layers": layers})
    assert [entry.name for entry in graph.layers] == want
    assert [p.name for p in graph.params] == [f"{name}f" for name in want]
    graph.eval({"x0": np.ones((1, 1))})
    assert graph.vars["x3"].value.item() == 24
