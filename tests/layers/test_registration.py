"""How classes of layers become known: user's own, those of the same name, bases, and new files of the library."""

import importlib
import importlib.util
import shutil
import subprocess
import sys

import numpy as np
import pytest
from support import ROOT

import pyconvnet as pcn
from pyconvnet import dagnn, layers
from pyconvnet.dagnn.saved import MissingBlock
from pyconvnet.layers import Layer, block_class, is_layer_type, layer_class
from pyconvnet.records import Struct


def test_a_class_with_the_type_of_a_built_in_is_refused_and_changes_nothing():
    with pytest.raises(
        ValueError, match=r"Mine: the SimpleNN type 'conv' is pyconvnet.layers.conv.Conv;.*replace=True"
    ):

        class Mine(Layer):
            simplenn = ("mine", "conv")

    assert layer_class("conv") is layers.Conv and not is_layer_type("mine")
    with pytest.raises(ValueError, match="unknown layer block"):
        block_class("Mine")


def test_a_class_with_the_name_of_a_built_in_block_is_refused():
    with pytest.raises(ValueError, match=r"the DagNN block 'Conv' is pyconvnet.layers.conv.Conv; choose another name"):

        class Conv(Layer):
            simplenn = "my-conv"

    assert block_class("dagnn.Conv") is layers.Conv and not is_layer_type("my-conv")


def test_replace_says_that_it_is_meant():
    class ReLU(layers.ElementWise, replace=True):
        simplenn = "relu"

        def forward(self, inputs, params):
            return [inputs[0] + 1]

    assert block_class("ReLU") is ReLU
    net = pcn.SimpleNN(layers=[{"type": "relu"}])
    assert pcn.vl_simplenn(net, np.zeros((1, 1, 1, 1)))[-1].x.item() == 1
    assert dagnn.ReLU is layers.ReLU and dagnn.ReLU is not ReLU

    class Further(ReLU):  # the keyword is of one class alone
        pass

    with pytest.raises(ValueError, match="replace=True"):

        class Sigmoid(ReLU):
            pass


def test_a_class_defined_again_in_the_same_place_is_the_new_one():
    def cell(number):
        class Own(Layer):
            simplenn = "own"
            value = number

        return Own

    cell(1)
    second = cell(2)
    assert layer_class("own") is second and block_class("Own") is second


@pytest.fixture
def module(tmp_path, monkeypatch):
    """import_(name): the file own_layers.py, with a layer in it, as the module of that name."""
    path = tmp_path / "own_layers.py"
    path.write_text('from pyconvnet import dagnn\n\n\nclass Own(dagnn.Layer):\n    simplenn = "own"\n')

    def import_(name, path=path):
        spec = importlib.util.spec_from_file_location(name, path)
        found = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, found)
        spec.loader.exec_module(found)
        return found

    monkeypatch.syspath_prepend(tmp_path)
    return import_


def test_a_module_may_be_loaded_again_and_be_a_script_too(module):
    found = module("own_layers")
    again = importlib.reload(found)
    assert layer_class("own") is again.Own
    assert module("own_main").Own is block_class("Own")  # as `python own_layers.py` and `import own_layers` do


def test_the_class_of_another_file_is_refused_like_a_built_in(module, tmp_path):
    first = module("own_layers").Own
    other = tmp_path / "other.py"
    shutil.copy(tmp_path / "own_layers.py", other)
    with pytest.raises(ValueError, match=r"other.Own: the SimpleNN type 'own' is own_layers.Own"):
        module("other", other)
    assert layer_class("own") is first


@pytest.mark.parametrize("base", [layers.ElementWise, layers.Filter, layers.Activation, MissingBlock])
def test_bases_are_not_blocks(base):
    with pytest.raises(ValueError, match="unknown layer block"):
        block_class(base.__name__)
    layer = Struct(name="l", type=f"dagnn.{base.__name__}", inputs=["x"], outputs=["y"], params=[], block=Struct())
    net = pcn.DagNN.loadobj(Struct(vars=[Struct(name="x"), Struct(name="y")], layers=layer))
    assert type(net.layers[0].block) is MissingBlock


def test_every_block_has_a_public_name_and_runs():
    from pyconvnet.layers import registry

    assert not [name for name in registry._BY_BLOCK if name.startswith("_")]
    for block in registry._BY_BLOCK.values():
        assert block.forward is not Layer.forward or block.forwardAdvanced is not Layer.forwardAdvanced


def test_custom_is_of_simplenn_only_and_leaves_its_name_to_users_blocks():
    assert layer_class("custom") is layers.Custom and not hasattr(dagnn, "Custom")

    class Custom(dagnn.ElementWise):
        pass

    assert block_class("Custom") is Custom and layer_class("custom") is layers.Custom


def test_ported_code_may_define_what_matconvnets_examples_define():
    assert block_class("SegmentationLoss") is dagnn.SegmentationLoss

    class SegmentationLoss(dagnn.Loss):
        pass

    class LossSmoothL1(dagnn.LossSmoothL1):
        pass

    assert block_class("SegmentationLoss") is SegmentationLoss and block_class("LossSmoothL1") is LossSmoothL1
    other = type("SegmentationLoss", (dagnn.Loss,), {"__module__": "elsewhere"}, block=False)
    with pytest.raises(ValueError, match="choose another name"):
        type("SegmentationLoss", (other,), {"__module__": "elsewhere"})


def test_a_users_base_is_not_a_block_where_it_says_so():
    class Base(Layer, block=False):
        strength = 2.0

    class Derived(Base):
        pass

    assert block_class("Derived") is Derived and Derived().strength == 2
    with pytest.raises(ValueError, match="unknown layer block"):
        block_class("Base")


def test_a_new_built_in_is_one_new_file(tmp_path):
    without = shutil.ignore_patterns("__pycache__")
    for name in ("pyconvnet", "compat", "models"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=without if name != "models" else lambda _, names: names)
    (tmp_path / "pyconvnet" / "layers" / "softsign.py").write_text(
        "from pyconvnet.layers.activations import Activation\n\n\n"
        'class Softsign(Activation):\n    simplenn = "softsign"\n\n'
        "    def value(self, x):\n        return x / (1 + abs(x))\n"
    )
    code = (
        "import numpy as np, pyconvnet as pcn; from pyconvnet.layers import *;"
        "x = pcn.vl_simplenn(pcn.SimpleNN(layers=[{'type': 'softsign'}]), np.ones((1, 1, 1, 1)))[-1].x.item();"
        "print(pcn.dagnn.Softsign is Softsign, x, pcn.__file__)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["True", "0.5", str(tmp_path / "pyconvnet" / "__init__.py")]


def test_what_editors_read_names_every_class():
    spec = importlib.util.spec_from_file_location("layer_stubs", ROOT / "tools" / "layer_stubs.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert len(tool.stubs()) == 2
    for place, text in tool.stubs().items():
        assert place.read_text(encoding="utf-8") == text, "python tools/layer_stubs.py writes it anew"
