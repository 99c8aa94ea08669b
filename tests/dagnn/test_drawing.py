"""A graph in Graphviz's language, and drawn."""

import sys
import types

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet import dagnn
from pyconvnet.dagnn.printing import dot, svg


@pytest.fixture
def net():
    net = dagnn.DagNN()
    net.addLayer("conv", dagnn.Conv(size=[3, 3, 1, 4]), "in put", "x", ["f", "b"])
    net.addLayer("re|lu", dagnn.ReLU(), "x", 'y"')
    net.initParams()
    return net


def test_dot_has_a_node_for_every_part_and_an_edge_for_every_use(net, capsys):
    text = dot(net, {"in put": (8, 8, 1, 2)})
    lines = text.splitlines()
    assert lines[0] == "digraph DagNN {" and lines[-1] == "}"
    assert sum("->" in line for line in lines) == 6
    assert sum("[label=" in line for line in lines) == len(net.vars) + len(net.params) + len(net.layers)
    for edge in ('"var_in put" -> "conv"', '"par_f" -> "conv"', '"conv" -> "var_x"', '"re|lu" -> "var_y\\""'):
        assert f"\t{edge}" in lines
    assert "6x6x4x2" in text and "3x3x1x4" in text and "re\\|lu | dagnn.ReLU" in text
    assert net.print({"in put": (8, 8, 1, 2)}, "Format", "dot") == text == capsys.readouterr().out


def test_a_simplenn_is_drawn_as_the_graph_it_makes():
    layer = {"type": "conv", "name": "c", "weights": [np.ones((3, 3, 1, 2), np.float32), np.zeros(2, np.float32)]}
    net = pcn.vl_simplenn_tidy({"layers": [layer, {"type": "relu", "name": "r"}]})
    assert dot(net) == dot(dagnn.DagNN.fromSimpleNN(net))
    with pytest.raises(TypeError, match="dot: net must be a DagNN or a SimpleNN, got list"):
        dot([1])


def test_svg_says_what_is_missing(net, monkeypatch):
    class NotFound(Exception):
        pass

    class Source:
        def __init__(self, text):
            self.text = text

        def pipe(self, format, encoding):
            if "conv" in self.text:
                raise NotFound
            return f"<{format}>"

    monkeypatch.setitem(sys.modules, "graphviz", types.SimpleNamespace(Source=Source, ExecutableNotFound=NotFound))
    with pytest.raises(RuntimeError, match="program dot, which is not on the PATH"):
        svg(net)
    net.removeLayer("conv")
    assert svg(net) == "<svg>"
    monkeypatch.setitem(sys.modules, "graphviz", None)
    with pytest.raises(ImportError, match="pip install graphviz"):
        svg(net)
