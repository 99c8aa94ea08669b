"""A layer that writes nothing, as a damaged file may hold it."""

import numpy as np

from pyconvnet import dagnn


def test_a_graph_with_a_layer_that_writes_nothing_runs_whether_layers_are_fused_or_not():
    net = dagnn.DagNN()
    net.addLayer("c", dagnn.Conv(size=[1, 1, 3, 4]), "x", "y", ["f", "b"])
    net.addLayer("r", dagnn.ReLU(), "x", "z")
    net.initParams()
    net.layers[0].outputs = []
    net.rebuild()
    net.mode = "test"
    for conserve in (True, False):
        net.conserveMemory = conserve
        net.vars["z"].precious = True
        net.eval({"x": np.ones((4, 4, 3, 1), np.float32)})
        assert (net.vars["z"].value == 1).all()
