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
