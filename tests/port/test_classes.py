"""Classes: handles with properties of their own, methods in both ways of calling, static methods, subclasses."""

import runpy

import numpy as np
import pytest

pytest.importorskip("tree_sitter_matlab", reason="pip install 'pyconvnet[port]'")
from pyconvnet.compat import matlab as ml
from pyconvnet.port import port

STACK = """
classdef Stack < handle
  properties
    items = {}
    limit = 3
  end
  methods
    function obj = Stack(limit)
      if nargin > 0
        obj.limit = limit;
      end
    end
    function push(obj, x)
      obj.items{end+1} = x;
    end
    function n = count(obj)
      n = numel(obj.items);
    end
  end
  methods (Static)
    function s = pair(a, b)
      s = Stack(2);
      s.push(a);
      s.push(b);
    end
  end
end
"""

USE = """
function r = use()
a = Stack();
b = Stack(5);
a.push(1);
push(a, 2);
c = a;
c.push(3);
p = Stack.pair(7, 8);
r = [count(a), b.count(), p.count(), a.limit, b.limit, p.limit];
end
"""


def test_objects_have_properties_of_their_own_and_are_shared_by_their_names(tmp_path, monkeypatch):
    (tmp_path / "Stack.m").write_text(STACK)
    (tmp_path / "use.m").write_text(USE)
    folder = port(tmp_path, tmp_path / "out")
    assert not [u.problems for u in folder.units.values() if u.problems]
    monkeypatch.syspath_prepend(str(tmp_path / "out"))
    r = runpy.run_path(str(tmp_path / "out" / "use.py"))["use"]()
    assert r.tolist() == [[3, 0, 2, 3, 5, 2]]


def test_first_weights_are_those_of_matlab_to_the_last_bit(tmp_path):
    """MATLAB multiplies single by double in double precision; numpy would round the number to single first."""
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "w.m").write_text("rng(3) ;\nf = 1/100 ;\nw = f*randn(5,5,1,20,'single') ;\nv = w * 0.3 ;\n")
    port(tmp_path / "m", tmp_path / "out")
    found = runpy.run_path(str(tmp_path / "out" / "w.py"))
    ml.rng(3)
    drawn = ml.randn(5, 5, 1, 20, "single")
    assert np.array_equal(found["w"], (drawn.astype(float) * 0.01).astype(np.float32))
    assert not np.array_equal(found["w"], drawn * np.float32(0.01))
