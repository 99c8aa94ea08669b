"""An operator puts its name once in front of what its checks refuse, and leaves every other error as it is."""

import traceback

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet import backends, dagnn
from pyconvnet.backends.base import Backend
from pyconvnet.options import naming

X = np.ones((4, 4, 2, 3), np.float32)
FURTHER = {  # arguments after x
    "vl_nnbilinearsampler": (X,),
    "vl_nnbnorm": (X, X),
    "vl_nnconv": (X,),
    "vl_nnconvt": (X,),
    "vl_nncrop": (1,),
    "vl_nneuclideanloss": (X,),
    "vl_nnloss": (1,),
    "vl_nnnoffset": ([1, 0.5],),
    "vl_nnnormalize": ([2, 1, 1, 1],),
    "vl_nnpdist": (X, 2),
    "vl_nnpool": (2,),
    "vl_nnroipool": (np.ones((5, 1)),),
    "vl_nnsmoothL1loss": (X,),
    "vl_nnsoftmaxloss": (1,),
    "vl_nnspnorm": ([1, 1, 1, 1],),
}
OPERATORS = sorted(name for name in pcn.__all__ if name.startswith("vl_nn"))


@pytest.mark.parametrize("name", OPERATORS)
def test_every_operator_names_itself_once(name):
    bad = [X.astype(int)] if name == "vl_nnconcat" else X.astype(int)
    with pytest.raises(TypeError) as told:
        getattr(pcn, name)(bad, *FURTHER.get(name, ()))
    argument = "inputs[0]" if name == "vl_nnconcat" else "x"
    assert str(told.value) == f"{name}: {argument} must be float32 or float64, got int64: convert it first"
    assert type(told.value) is TypeError


def test_the_traceback_ends_at_the_check():
    with pytest.raises(ValueError, match=r"^vl_nnpool: stride must be whole numbers from 1 up, got \[0\]$") as told:
        pcn.vl_nnpool(X, 2, stride=0)
    assert traceback.extract_tb(told.value.__traceback__)[-1].name == "whole_numbers"
    assert told.value.__cause__ is None and told.value.__context__ is None


@pytest.mark.parametrize("further", [(), ("stride", 1)])
def test_a_missing_argument_is_told_as_python_does(further):
    with pytest.raises(TypeError, match=r"^vl_nnpool\(\) missing 1 required positional argument: 'pool'$"):
        pcn.vl_nnpool(X, *further)


@pytest.mark.parametrize("error", [TypeError("mylib: no"), ValueError("mylib: device lost"), MemoryError("full")])
def test_errors_of_kernels_stay_as_they_are(error, monkeypatch):
    def relu(x, leak):
        raise error

    said = str(error)
    monkeypatch.setattr(backends.of(X), "relu", relu)
    with pytest.raises(type(error)) as told:
        pcn.vl_nnrelu(X)
    assert told.value is error and str(error) == said


def test_a_kernel_that_a_backend_lacks_stays_unnamed(monkeypatch):
    monkeypatch.setattr(type(backends.of(X)), "pool", Backend.pool)
    with pytest.raises(TypeError, match=r"^no pool kernel for numpy yet$"):
        pcn.vl_nnpool(X, 2)


@pytest.mark.parametrize("conserve", [False, True])
def test_layers_that_run_in_one_name_the_operator_too(conserve):
    layers = [
        {"type": "conv", "weights": [np.ones((3, 3, 2, 4), np.float32), np.ones(3, np.float32)]},
        {"type": "relu"},
    ]
    net = pcn.vl_simplenn_tidy({"layers": layers})
    with pytest.raises(ValueError, match=r"^vl_nnconv: b has 3 elements \(3\), f has 4 filters \.\.\. in layer 1"):
        pcn.vl_simplenn(net, X, conserveMemory=conserve)


def test_layers_name_themselves_where_no_operator_runs():
    with pytest.raises(TypeError, match=r"^Sum: input 2 is float64 where the other arrays are float32"):
        dagnn.Sum().forward([X, X.astype(float)], [])
    with pytest.raises(ValueError, match=r"^Pooling: stride must be whole numbers from 1 up"):
        dagnn.Pooling(poolSize=2, stride=0).getOutputSizes([X.shape])
    with pytest.raises(ValueError, match=r"^Pooling: poolSize must be whole numbers from 1 up"):
        dagnn.Pooling(poolSize=0).getOutputSizes([X.shape])


def test_the_innermost_name_counts_and_users_errors_stay():
    with pytest.raises(ValueError, match=r"^vl_nnpool: stride must be"), naming("outer"), naming("Pooling"):
        pcn.vl_nnpool(X, 2, stride=0)
    with pytest.raises(ValueError, match=r"^of the user$"), naming("outer"):
        raise ValueError("of the user")
