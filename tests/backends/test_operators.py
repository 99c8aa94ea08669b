"""Every operator agrees with MatConvNet's cases on every registered backend."""

from dataclasses import replace

import boxes
import numpy as np
import pytest
import tensors
from support import FIXTURES, as_list, assert_close, cases

import pyconvnet
from pyconvnet import backends
from pyconvnet.backends.base import Backend
from pyconvnet.backends.reference import Reference

boxes.register()
NAMES = sorted(p.stem for p in (FIXTURES / "ops").glob("vl_*.mat"))
ALL = [case for name in NAMES for case in cases(name)]
# an array of each backend's from one of numpy's
MAKE = {
    "numpy.ndarray": lambda a: a,
    "boxes.Box": boxes.Box,
    "torch.Tensor": lambda a: tensors.placed(a, tensors.require("torch:cpu")),
    "gpu": lambda a: tensors.placed(a, tensors.require("gpu")),
}
ARRAYS = [pytest.param(name, marks=pytest.mark.gpu) if name == "gpu" else name for name in MAKE]


# positions of the inputs that are tensors, where that is not the first alone; others are sizes, options and labels
TENSORS = {"vl_nnconv": 3, "vl_nnconvt": 3, "vl_nnbnorm": 3, "vl_nnbilinearsampler": 2, "vl_nnpdist": 2}


def test_every_registered_backend_is_among_those_tested():
    assert set(MAKE) - {"gpu"} | {"numpy.generic"} == set(backends._registered)


def given(value, make):
    """Tensors of the backend; whole numbers and options stay in main memory."""
    if isinstance(value, list):
        return [given(v, make) for v in value]
    return make(value) if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.size else value


def with_the_exact_power(case):
    """LRN as MatConvNet's GPU code and PyTorch tensors have it; the case is of its CPU code, up to 4e-3 off."""
    fn = getattr(pyconvnet, case.fn)
    with pyconvnet.local_precision("high"):
        y, dx = fn(*case.inputs), fn(*case.inputs, case.dzdy)
    assert_close(y, case.outputs[0], case.name, 4e-3)
    return replace(case, outputs=[y], ders=[dx])


def on_host(value):
    return backends.of(value).to_host(value) if backends.find(value) is not None else value


@pytest.mark.parametrize("array", ARRAYS)
@pytest.mark.parametrize("case", [c for c in ALL if c.expect == "ok"], ids=str)
def test_the_operator_agrees_with_matconvnet(case, array):
    make, fn = MAKE[array], getattr(pyconvnet, case.fn)
    tensors = TENSORS.get(case.fn, 1)
    inputs = [given(v, make) if i < tensors else v for i, v in enumerate(case.inputs)]
    options = {
        k: given(v, make) if k in ("moments", "mask", "instanceWeights") else v for k, v in case.keywords.items()
    }
    if array in ("torch.Tensor", "gpu") and case.fn == "vl_nnnormalize":
        case = with_the_exact_power(case)
    for i, (ours, theirs) in enumerate(zip(as_list(fn(*inputs, **options)), case.outputs)):
        assert type(ours) is type(make(np.zeros(1)))
        assert_close(on_host(ours), theirs, f"{case.name} output {i}")
    if case.ders:
        found = as_list(fn(*inputs, given(case.dzdy, make), **options))
        for i, (ours, theirs) in enumerate(zip(found, case.ders)):
            if np.size(theirs):
                assert_close(on_host(ours), theirs, f"{case.name} derivative {i}")


@pytest.mark.parametrize("case", [c for c in ALL if c.expect == "ok"], ids=str)
def test_numpys_plain_kernels_are_the_oracle(case, monkeypatch):
    monkeypatch.setitem(backends._found, np.ndarray, Reference())
    test_the_operator_agrees_with_matconvnet(replace(case), "numpy.ndarray")


def test_a_kernel_that_a_backend_lacks_is_named():
    class Bare(Backend):
        name = "mylib"
        floats = Reference.floats

    class Array(boxes.Box):
        pass

    try:
        backends.register(f"{Array.__module__}.{Array.__qualname__}", Bare())
        with pytest.raises(TypeError, match=r"^no conv kernel for mylib yet$"):
            pyconvnet.vl_nnconv(Array(np.ones((3, 3, 1, 1))), Array(np.ones((2, 2, 1, 1))), None)
    finally:
        del backends._registered[f"{Array.__module__}.{Array.__qualname__}"]
        backends._found.clear()


def test_arrays_of_two_backends_are_not_mixed():
    x, f = np.ones((3, 3, 1, 1)), np.ones((2, 2, 1, 1))
    with pytest.raises(TypeError, match="vl_nnconv: f is an array of boxes where the other arrays are of numpy"):
        pyconvnet.vl_nnconv(x, boxes.Box(f), None)
    with pytest.raises(TypeError, match="must be a float32 or float64 array, got memoryview"):
        pyconvnet.vl_nnrelu(memoryview(b""))


def test_what_has_no_backend_is_told_which_there_are():
    with pytest.raises(TypeError, match=r"no backend for builtins\.set; there are: numpy\.ndarray"):
        backends.of(set())
