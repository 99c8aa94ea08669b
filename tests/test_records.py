"""How records look."""

import numpy as np

from pyconvnet.records import Struct


def test_arrays_inside_a_record_are_shown_by_their_size():
    layer = Struct(type="conv", weights=[np.zeros((3, 3, 2, 4), np.float32), np.zeros(4)], pad=[1] * 5)
    assert repr(layer) == "Struct(type='conv', weights=[<3x3x2x4 float32>, array([0., 0., 0., 0.])], pad=<list of 5>)"
