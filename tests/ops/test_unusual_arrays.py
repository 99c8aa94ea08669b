"""Arrays of every kind, for every argument of every operator: right or refused by name, and never changed."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from array_kinds import NEVER, REFUSED, REORDERED, RIGHT, bits, made
from support import as_list

import pyconvnet as pcn

OPERATORS = sorted(name for name in pcn.__all__ if name.startswith("vl_nn"))
random = np.random.default_rng(7)


def normal(*shape: int) -> np.ndarray:
    return random.standard_normal(shape)


@dataclass
class Call:
    """A call of an operator: float arrays among these arguments are varied, others and lists of numbers stay."""

    args: list[Any]
    options: dict[str, Any] = field(default_factory=dict)
    numbers: tuple[str, ...] = ()  # arguments that may be numbers of any type
    dzdy: Any = None  # for losses


X = normal(6, 7, 4, 3)
LABELS = np.array([1.0, 3.0, 4.0])
MOMENTS = np.stack([normal(4), random.uniform(1, 2, 4)], axis=1)
REGIONS = np.array([[1.0, 1, 1, 5, 6], [3, 2, 1, 6, 4]]).T
CALLS: dict[str, list[Call]] = {
    "vl_nnbilinearsampler": [Call([X, random.uniform(-0.9, 0.9, (2, 3, 4, 3))])],
    "vl_nnSubP": [Call([X], {"scale": 2}), Call([normal(6, 9, 2, 3)], {"scale": 1 / 3})],
    "vl_nnbnorm": [Call([X, normal(4), normal(4)]), Call([X, normal(4), normal(4)], {"moments": MOMENTS})],
    "vl_nnconcat": [Call([[X, normal(6, 7, 2, 3)], 3])],
    "vl_nnconv": [
        Call([X, normal(3, 2, 4, 5), normal(5)], {"stride": 2, "pad": 1}),
        Call([X, normal(3, 3, 4, 17), normal(17)], {"pad": 1}),
        Call([X, normal(3, 3, 2, 6), normal(6)], {"dilate": [2, 1]}),
        Call([X, normal(6, 7, 4, 401), normal(401)]),
        Call([X, None, normal(4)], {"stride": 2}),
    ],
    "vl_nnconvt": [Call([X, normal(3, 4, 5, 4), normal(5)], {"upsample": 2, "crop": 1})],
    "vl_nncrop": [Call([X, [1, 0, 2, 1]])],
    "vl_nndropout": [Call([X], {"mask": random.integers(0, 2, X.shape) * 2.0})],
    "vl_nneuclideanloss": [
        Call([X, normal(6, 7, 4, 3)], {"instanceWeights": normal(6, 7, 1, 3)}, ("t", "instanceWeights"), np.ones(1))
    ],
    "vl_nnloss": [
        Call([X, LABELS], {"instanceWeights": random.uniform(0, 1, 3)}, ("c", "instanceWeights"), np.ones(1)),
        Call([normal(6, 7, 4, 3), np.sign(X)], {"loss": "logistic"}, ("c",), np.ones(1)),
        *(
            Call([random.uniform(0.1, 0.9, X.shape), LABELS], {"loss": loss}, ("c",), np.ones(1))
            for loss in ("log", "mhinge", "mshinge", "classerror", "topkerror")
        ),
    ],
    "vl_nnnoffset": [Call([X, [0.5, 0.75]])],
    "vl_nnnormalize": [Call([X, [3, 1, 0.5, 0.75]])],
    "vl_nnnormalizelp": [Call([X])],
    "vl_nnpdist": [
        Call([X, normal(6, 7, 4, 3), 2], {"instanceWeights": normal(6, 7, 1, 3)}, ("x0", "instanceWeights")),
        Call([X, normal(1, 1, 4, 3), 1], numbers=("x0",)),
    ],
    "vl_nnpool": [Call([X, [2, 3]], {"stride": 2, "pad": 1}), Call([X, 3], {"method": "avg"})],
    "vl_nnrelu": [Call([X]), Call([X], {"leak": 0.1})],
    "vl_nnroipool": [Call([X, REGIONS], {"subdivisions": [2, 3]}, ("rois",))],
    "vl_nnsigmoid": [Call([X])],
    "vl_nnsmoothL1loss": [
        Call(
            [X, normal(6, 7, 4, 3)],
            {"sigma": 2, "insideWeights": normal(6, 7, 1, 3), "outsideWeights": random.uniform(0, 1, X.shape)},
            ("t", "insideWeights", "outsideWeights"),
            np.ones(1),
        )
    ],
    "vl_nnsoftmax": [Call([X])],
    "vl_nnsoftmaxloss": [Call([X, LABELS], {}, ("c",), np.ones(1))],
    "vl_nnspnorm": [Call([X, [3, 2, 0.5, 0.75]])],
}
ALL = [pytest.param(name, c, id=f"{name}-{i}") for name in OPERATORS for i, c in enumerate(CALLS.get(name, []))]


def single(value: Any, dtype: Any) -> Any:
    """Arrays in a precision, in MATLAB's memory order; other arguments as they are."""
    if isinstance(value, list) and value and isinstance(value[0], np.ndarray):
        return [single(v, dtype) for v in value]
    return np.array(value, dtype, order="F") if isinstance(value, np.ndarray) else value


class Prepared:
    """A call's arguments by name, and its places: (argument, index in a list or None) of each array."""

    def __init__(self, name: str, call: Call, dtype: Any, backward: bool) -> None:
        self.fn = getattr(pcn, name)
        names = list(inspect.signature(self.fn).parameters)
        self.values = {n: single(v, dtype) for n, v in zip(names, call.args)}
        self.options = {k: single(v, dtype) for k, v in call.options.items()}
        if backward:
            y = self.run()[0] if call.dzdy is None else call.dzdy
            dzdy = np.random.default_rng(1).standard_normal(np.shape(y)) if call.dzdy is None else call.dzdy
            self.values["dzdy"] = single(dzdy, dtype)
        self.places = [
            (key, i)
            for of in (self.values, self.options)
            for key, v in of.items()
            for i in ([None] if isinstance(v, np.ndarray) else range(len(v)) if _arrays(v) else [])
        ]

    def get(self, place: tuple[str, int | None]) -> np.ndarray:
        value = (self.values | self.options)[place[0]]
        return value if place[1] is None else value[place[1]]

    def run(self, changed: dict[Any, Any] | None = None) -> list[np.ndarray]:
        values, options = dict(self.values), dict(self.options)
        for (key, i), array in (changed or {}).items():
            of = values if key in values else options
            of[key] = array if i is None else [array if j == i else v for j, v in enumerate(of[key])]
        return [y for y in as_list(self.fn(**values, **options)) if y is not None]


def _arrays(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], np.ndarray)


@pytest.mark.parametrize("name", OPERATORS)
def test_every_operator_is_tried(name):
    assert CALLS.get(name), f"{name} has no calls: add some to CALLS in {__file__}"


def same(found: list[np.ndarray], wanted: list[np.ndarray], kind: str) -> None:
    """To the bit where the order in memory is the same; sums may be taken in that order."""
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted):
        assert type(a) is np.ndarray and a.dtype == b.dtype and a.shape == b.shape, kind
        if kind in REORDERED:
            assert np.abs(a - b).max() <= 8 * np.finfo(b.dtype).eps * max(np.abs(b).max(), 1), kind
        else:
            assert bits(a) == bits(b), kind


@pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name, call", ALL)
def test_the_result_is_that_of_plain_arrays_and_nothing_is_changed(name, call, dtype, backward, tmp_path):
    case = Prepared(name, call, dtype, backward)
    wanted = case.run()
    for kind in RIGHT:
        changed = {place: made(kind, case.get(place), tmp_path) for place in case.places}
        before = {place: bits(a) for place, a in changed.items()}
        for place in case.places:
            same(case.run({place: changed[place]}), wanted, kind)
        same(case.run(changed), wanted, kind)
        assert {place: bits(a) for place, a in changed.items()} == before, kind


@pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name, call", ALL)
def test_arguments_may_share_memory_with_one_another(name, call, dtype, backward):
    case = Prepared(name, call, dtype, backward)
    places = [place for place in case.places if place[0] not in call.numbers]
    sizes = [case.get(place).size for place in places]
    memory = np.random.default_rng(3).uniform(0.1, 0.9, max(sizes) + len(sizes)).astype(dtype)
    # each begins one element after the one before
    views = [memory[i : i + n].reshape(case.get(p).shape, order="F") for i, (p, n) in enumerate(zip(places, sizes))]
    wanted = case.run({place: v.copy(order="F") for place, v in zip(places, views)})
    before = bits(memory)
    same(case.run(dict(zip(places, views))), wanted, "shared")
    assert bits(memory) == before


@pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name, call", ALL)
def test_values_may_be_repeated_without_being_in_memory_again(name, call, dtype, backward):
    case = Prepared(name, call, dtype, backward)
    for place in case.places:
        given = case.get(place)
        for axis in range(given.ndim):
            repeated = np.broadcast_to(given.take([0], axis), given.shape)
            wanted = case.run({place: np.array(repeated, order="F")})
            same(case.run({place: repeated}), wanted, REORDERED[0])


@pytest.mark.filterwarnings("ignore:vl_nnloss. c holds 0 and 1")
@pytest.mark.parametrize("name, call", ALL)
def test_what_it_cannot_compute_with_is_refused_by_name_or_converted(name, call):
    case = Prepared(name, call, np.float32, True)
    wanted = case.run()
    for kind, convert in REFUSED.items():
        for place in case.places:
            array = convert(case.get(place))
            argument = place[0] if place[1] is None else f"{place[0]}[{place[1]}]"
            try:
                found = case.run({place: array})
            except (TypeError, ValueError) as error:
                assert str(error).startswith(f"{name}: {argument} "), kind
            else:
                numbers = place[0] in call.numbers or (place[0] == "dzdy" and call.dzdy is not None)
                assert numbers and kind not in NEVER, f"{argument} was accepted as {kind}"
                assert all(y.shape == w.shape and y.dtype == w.dtype for y, w in zip(found, wanted)), kind


@pytest.mark.filterwarnings("ignore:.*matrix subclass")
def test_a_matrix_is_an_array_of_two_dimensions():
    x = np.matrix([[-1.0, 2.0], [3.0, -4.0]])
    y, moments = pcn.vl_nnbnorm(x, np.matrix([2.0]), np.matrix([1.0]))
    wanted, of = pcn.vl_nnbnorm(np.array(x), np.array([2.0]), np.array([1.0]))
    same([pcn.vl_nnrelu(x), y, moments], [pcn.vl_nnrelu(np.array(x)), wanted, of], "matrix")
