"""Every public function, called with what it is not meant for, answers or says what came and what is accepted.

The functions come from `pyconvnet.__all__`. Where CALLS has a right call, each argument and option of it is exchanged
in turn; the first two arguments of every function, a new one too, take all pairs of values.
"""

import inspect
import itertools
import re
import warnings

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet.training.options import COMMON, DAGNN, SIMPLENN

RNG = np.random.default_rng(0)
X = RNG.standard_normal((4, 4, 3, 2)).astype(np.float32)
F = RNG.standard_normal((2, 2, 3, 2)).astype(np.float32)
LABELS = np.array([1, 2])


def small_net():
    layers = [
        pcn.Struct(type="conv", weights=[F, np.zeros((1, 2), np.float32)]),
        pcn.Struct(type="conv", weights=[RNG.standard_normal((3, 3, 2, 2)).astype(np.float32), []]),
        pcn.Struct(type="softmaxloss"),
    ]
    return pcn.vl_simplenn_tidy(pcn.SimpleNN(layers=layers))


NET = small_net()
DEPLOYED = pcn.SimpleNN(NET, layers=NET.layers[:2])
DAG = pcn.DagNN.fromSimpleNN(NET, canonicalNames=True)
IMDB = pcn.Struct(images=pcn.Struct(set=np.ones(2), data=X, labels=LABELS))

VALUES = {
    "None": None,
    "text": "a",
    "number": 3,
    "NaN": np.nan,
    "negative": -1.5,
    "infinite": np.inf,
    "true": True,
    "ragged list": [[1, 2], [3]],
    "mixed list": ["a", 1],
    "list": [1, 2],
    "matrix": np.arange(6.0).reshape(2, 3),
    "image": X,
    "whole numbers": np.ones((4, 4, 3, 2), int),
    "five dimensions": np.ones((1, 2, 1, 1, 2), np.float32),
    "empty": np.zeros((0, 0)),
    "objects": np.array([None, 1], object),
    "struct": {"a": 1},
    "set": {1},
    "bytes": b"a",
    "function": lambda *values: 1.0,
    "SimpleNN": NET,
    "DagNN": DAG,
}

SHORT = ("None", "text", "NaN", "number", "ragged list", "matrix", "empty", "struct", "function")  # where nets train
FIRST = ("SimpleNN", "DagNN", "image", "matrix", "empty", "text")  # of which most functions accept one


def simple_batch(imdb, batch):
    return imdb.images.data[..., batch], imdb.images.labels[batch]


def graph_batch(imdb, batch):
    return {"input": imdb.images.data[..., batch], "label": imdb.images.labels[batch]}


TRAINING = {"expDir": None, "numEpochs": 1, "batchSize": 2, "verbose": False}
CALLS = {
    "best_classes": {"net": NET, "y": X},
    "check_derivatives": {"layer": pcn.dagnn.ReLU(), "inputs": [X.astype(float)], "params": []},
    "classify": {"net": DEPLOYED, "image": X[..., 0]},
    "cnn_train": {"net": NET, "imdb": IMDB, "getBatch": simple_batch, **COMMON, **SIMPLENN, **TRAINING},
    "cnn_train_dag": {"net": DAG, "imdb": IMDB, "getBatch": graph_batch, **COMMON, **DAGNN, **TRAINING},
    "cross_validate": {"build": small_net, "imdb": IMDB, "getBatch": simple_batch, "folds": 2, **TRAINING},
    "features": {"net": DEPLOYED, "images": [X[..., 0]], "layers": "layer1", "prepared": True},
    "from_caffe": {"prototxt": "a.prototxt", "caffemodel": "a.caffemodel"},
    "vl_argparse": {"opts": pcn.Struct(a=1), "args": ["a", 2]},
    "vl_imarray": {"A": X},
    "vl_imarraysc": {"A": X},
    "vl_imreadjpeg": {"files": []},
    "vl_nnbilinearsampler": {"x": X, "grid": np.zeros((2, 3, 3, 2), np.float32), "dzdy": X[:3, :3]},
    "vl_nnbnorm": {"x": X, "g": X[0, 0, :, 0], "b": X[0, 1, :, 0], "dzdy": X},
    "vl_nnconcat": {"inputs": [X, X], "dim": 1},
    "vl_nnconv": {"x": X, "f": F, "b": [], "dzdy": X[:3, :3, :2]},
    "vl_nnconvt": {"x": X, "f": F.transpose(0, 1, 3, 2), "b": []},
    "vl_nncrop": {"x": X, "crop": [1, 0, 0, 0], "dzdy": X[:3], "inputSize": X.shape},
    "vl_nndropout": {"x": X},
    "vl_nnloss": {"x": X[:1, :1], "c": LABELS, "dzdy": 1.0},
    "vl_nnpdist": {"x": X, "x0": X, "p": 2},
    "vl_nnpool": {"x": X, "pool": 2, "dzdy": X[:3, :3]},
    "vl_nnroipool": {"x": X, "rois": np.array([[1.0, 1, 1, 3, 3]]).T, "subdivisions": 2},
    "vl_simplenn": {"net": DEPLOYED, "x": X, "dzdy": X[:1, :1, :2]},
    "vl_simplenn_diagnose": {"net": NET},
    "vl_simplenn_display": {"net": NET},
}
ELSEWHERE = {"processes", "gpus", "executor"}  # which start processes: tests/training
FUNCTIONS = [
    name
    for name in pcn.__all__
    if not (isinstance(getattr(pcn, name), type) and issubclass(getattr(pcn, name), (dict, Exception)))
]


def arguments_of(name):
    parameters = inspect.signature(getattr(pcn, name)).parameters.values()
    return [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]


def complaint(name, what, args, kwargs):
    """What is wrong with the answer; None for a value, and for a refusal that names a function or the argument."""
    try:
        if "net" in kwargs and isinstance(kwargs["net"], pcn.DagNN):  # which training changes
            kwargs = {**kwargs, "net": kwargs["net"].copy()}
        answer = getattr(pcn, name)(*args, **kwargs)
        if hasattr(answer, "__enter__"):
            with answer:
                pass
        return None
    except (TypeError, ValueError, NotImplementedError, OSError, FloatingPointError) as error:
        known = "|".join(map(re.escape, [name, *(p.name for p in arguments_of(name)), *kwargs]))
        if re.search(rf"^[\w.]+: |\b(?:{known})\b", str(error)) or getattr(error, "filename", None):
            return None
        return f"{what}: {type(error).__name__} {error}"
    except Exception as error:
        extra = isinstance(error, ImportError) and f"{name}: " in str(error) and "pip install 'pyconvnet[" in str(error)
        return None if extra else f"{what}: {error!r}"


@pytest.fixture
def quiet(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    precision, deterministic = pcn.precision.get_precision(), pcn.precision.get_deterministic()
    threads = pcn.threads.get_num_threads()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield
    pcn.set_precision(precision)
    pcn.set_deterministic(deterministic)
    pcn.set_num_threads(threads)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_pairs_of_arguments_are_answered_or_refused_in_words(name, quiet):
    placed = [p for p in arguments_of(name) if p.kind is not p.KEYWORD_ONLY]
    rest = [X] * (sum(p.default is p.empty for p in placed) - 2)
    pairs = [()] if not placed else [(v,) for v in VALUES]
    if len(placed) > 1:
        pairs = [(a, b) for a, b in itertools.product(VALUES, repeat=2) if a in FIRST or b == "None"]
    found = (complaint(name, pair, [*(VALUES[v] for v in pair), *rest], {}) for pair in pairs)
    assert not [f for f in found if f][:9]


@pytest.mark.parametrize("name", CALLS)
def test_each_argument_in_turn_is_answered_or_refused_in_words(name, quiet):
    right = CALLS[name]
    assert complaint(name, "the right call", [], right) is None
    known = {**{p.name: p.default for p in arguments_of(name)}, **right}
    found = []
    for argument, value in itertools.product(known, SHORT if "expDir" in known else VALUES):
        if argument not in ELSEWHERE:
            given = {**right, argument: VALUES[value]}
            found.append(complaint(name, (argument, value), [], given))
    assert not [f for f in found if f][:9]
