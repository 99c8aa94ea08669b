"""How records look."""

import numpy as np
import pytest

from pyconvnet.records import Struct


def test_arrays_inside_a_record_are_shown_by_their_size():
    layer = Struct(type="conv", weights=[np.zeros((3, 3, 2, 4), np.float32), np.zeros(4)], pad=[1] * 5)
    assert repr(layer) == "Struct(type='conv', weights=[<3x3x2x4 float32>, array([0., 0., 0., 0.])], pad=<list of 5>)"


def test_fields_of_meta_are_made_when_they_are_set_as_in_matlab(tmp_path):
    import pyconvnet as pcn

    graph = pcn.DagNN()
    graph.addLayer("r", pcn.dagnn.ReLU(), "x", "y")
    for net in (pcn.SimpleNN(layers=[{"type": "relu"}]), graph):
        net.meta.trainOpts.weightDecay = 1
        net.meta.normalization.imageSize = np.array([28.0, 28, 1])
        pcn.save(tmp_path / "net.mat", net)
        meta = pcn.load(tmp_path / "net.mat").meta
        assert meta.trainOpts.weightDecay == 1 and meta.normalization.imageSize.tolist() == [[28, 28, 1]]
        with pytest.raises(AttributeError, match="no field 'other'"):
            net.meta.other.field = 1
