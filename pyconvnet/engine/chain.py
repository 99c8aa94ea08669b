"""The plan of a SimpleNN: its records as steps; the slots between them are views of the results of one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import is_
from typing import Any

import numpy as np

from pyconvnet import backends
from pyconvnet.arrays import shape_of
from pyconvnet.engine.errors import place
from pyconvnet.engine.plan import Plan
from pyconvnet.engine.step import Step, handed
from pyconvnet.layers import Layer, is_layer_type, layer_class
from pyconvnet.layers.base import backward_reads
from pyconvnet.text import visible

FN = "vl_simplenn"


class Mode:
    """The network as its layers see it: its mode, and whether the call that it is in passes back as well."""

    mode = "normal"
    _passes_back = False


class ResultSlot:
    """x and dzdx of a Result; `result` is set for each call."""

    __slots__ = ("fanout", "precious", "result")
    optional = False

    def __init__(self, fanout: int) -> None:
        self.fanout, self.precious = fanout, False
        self.result: Any = None

    @property
    def value(self) -> Any:
        return self.result["x"]

    @value.setter
    def value(self, value: Any) -> None:
        self.result["x"] = value

    @property
    def der(self) -> Any:
        return self.result["dzdx"]

    @der.setter
    def der(self, value: Any) -> None:
        self.result["dzdx"] = value


class WeightSlot:
    """One of the weights of a record, and its derivative."""

    __slots__ = ("at", "der", "record")

    def __init__(self, record: Any, at: int) -> None:
        self.record, self.at, self.der = record, at, None

    @property
    def value(self) -> Any:
        return self.record["weights"][self.at]


class FieldSlot:
    """A field of a record that is a further input of its layer, such as the labels of a loss; None where missing."""

    __slots__ = ("field", "record")
    fanout, precious, optional = 1, True, True

    def __init__(self, record: Any, field: str) -> None:
        self.record, self.field = record, field

    @property
    def value(self) -> Any:
        return self.record.get(self.field)

    @property
    def der(self) -> None:
        return None

    @der.setter
    def der(self, value: Any) -> None:
        pass  # not used


class ChainEntry:
    """A layer's place in a SimpleNN."""

    __slots__ = ("accumulate", "after", "at", "before", "layer", "record", "weights")

    def __init__(self, at: int, layer: Layer, record: Any, before: ResultSlot, after: ResultSlot) -> None:
        self.at, self.layer, self.record, self.before, self.after = at, layer, record, before, after
        self.weights = [WeightSlot(record, j) for j in range(len(record.get("weights") or ()))]
        self.accumulate = False

    def where(self) -> str:
        x = self.before.result["x"] if self.before.result is not None else None
        return place(self.at, self.record, shape_of(x) if backends.find(x) is not None else None)

    @property
    def forwardTime(self) -> float:
        return self.before.result["forwardTime"]

    @forwardTime.setter
    def forwardTime(self, seconds: float) -> None:
        self.before.result["time"] = self.before.result["forwardTime"] = seconds

    @property
    def backwardTime(self) -> float:
        return self.before.result["backwardTime"]

    @backwardTime.setter
    def backwardTime(self, seconds: float) -> None:
        self.before.result["backwardTime"] = seconds

    def run_forward(self, entry: Any) -> None:
        """Through a layer's own runForward, which gets the results before and after it."""
        self.after.result = self.layer.runForward(self.record, self.before.result, self.after.result)

    def run_backward(self, entry: Any) -> None:
        earlier = list(self.before.result.dzdw or ()) if self.accumulate else []
        self.before.result = self.layer.runBackward(self.record, self.before.result, self.after.result)
        if earlier:
            self.before.result.dzdw = [
                a if b is None else b if a is None else a + b for a, b in zip(self.before.result.dzdw, earlier)
            ]


class ChainPlan(Plan):
    """The plan of a chain, valid while the records stay the same; used by one call at a time."""

    def __init__(self, records: Sequence[Any]) -> None:
        self.stamps = [_Stamp(record) for record in records]
        self.slots = [ResultSlot(1) for _ in records] + [ResultSlot(0)]
        self.entries = [
            ChainEntry(at, _layer(at, record), record, self.slots[at], self.slots[at + 1])
            for at, record in enumerate(records)
        ]
        self.layers = [entry.layer for entry in self.entries]
        self.network = Mode()
        self.seconds = 0.0  # that the layers took in the last call
        for layer in self.layers:
            layer.net = self.network
        super().__init__([_step(entry) for entry in self.entries])

    def fits(self, records: Sequence[Any]) -> bool:
        """Whether the plan was made for these records as they are now."""
        return len(records) == len(self.entries) and all(
            entry.record is record and stamp.holds(record)
            for entry, record, stamp in zip(self.entries, records, self.stamps)
        )

    def bind(self, res: Sequence[Any], mode: str, first: int, accumulate: bool) -> None:
        """Point the slots at the results of a call."""
        self.network.mode = mode
        for at, (slot, result) in enumerate(zip(self.slots, res)):
            slot.result = result
            # the output of the network is kept, and its input if backward reaches it
            slot.precious = at == len(self.entries) or (_precious(self.entries[at - 1].record) if at else first == 0)
        for entry, after in zip(self.entries, res[1:]):
            entry.accumulate = accumulate
            if entry.layer.aux is not after["aux"]:
                entry.layer.aux = after["aux"]

    def recorded_step(self, input_der: bool) -> Any:
        """The recorded step of training for the results that are bound, None where there is none."""
        head, mode = self.head(), self.network.mode
        if not head.steps:
            return None
        fused = self.in_one(0, frozenset(s for s in self.slots if s.precious), mode)
        return head.step(fused, mode, input_der, self.seconds)

    def release(self) -> list[Any]:
        """The results, to which the plan keeps no reference."""
        self.network._passes_back = False
        for entry in self.entries:
            if entry.layer.aux is not None:
                entry.layer.aux = None
            if entry.layer._for_backward is not None:
                entry.layer._for_backward = None
            for weight in entry.weights:
                weight.der = None
        out = [slot.result for slot in self.slots]
        self.seconds = sum([(r.get("forwardTime") or 0.0) + (r.get("backwardTime") or 0.0) for r in out])
        for slot in self.slots:
            slot.result = None
        return out


def _step(entry: ChainEntry) -> Step:
    layer, kind = entry.layer, type(entry.layer)
    ins = [entry.before, *(FieldSlot(entry.record, field) for field in layer.simplenn_inputs)]
    outs = [entry.after]
    positions, outputs = backward_reads(layer, 1)
    given = handed(positions, outputs, ins[:1], outs) + ins[1:]
    return Step(
        entry,
        layer,
        ins,
        outs,
        entry.weights,
        given,
        outputs and bool(positions),
        None if kind.runForward is Layer.runForward else entry.run_forward,
        None if kind.runBackward is Layer.runBackward else entry.run_backward,
        checked=not layer._built_in,
    )


def _layer(at: int, record: Any) -> Layer:
    try:
        return layer_class(record["type"]).from_record(record)
    except (ValueError, TypeError, KeyError) as error:
        if isinstance(error, KeyError):
            error = ValueError(f"field {error.args[0]!r} is missing (vl_simplenn_tidy fills in what has a default)")
        raise type(error)(
            f"{FN}: {error} ... in layer {at + 1} {record.get('name', '')!r} ({visible(record['type'])})"
        ) from None


def _precious(record: Any) -> bool:
    return any(
        value is not None and value is not False and bool(np.any(value))
        for value in (record.get("precious"), record.get("rememberOutput"))
    )


class _Stamp:
    """The fields that a layer is made from, as they were."""

    __slots__ = ("fields", "frozen")

    def __init__(self, record: Any) -> None:
        self.frozen = _frozen_fields(record)  # None where they cannot be compared
        names = () if self.frozen is None else _names(self.frozen[0])
        self.fields = [(name, value, _same(value)) for name in names for value in [record.get(name, _MISSING)]]

    def holds(self, record: Any) -> bool:
        return self.frozen is not None and (self._untouched(record) or _frozen_fields(record) == self.frozen)

    def _untouched(self, record: Any) -> bool:
        """Whether the fields have the very values that they had, which is sooner seen than that others are equal."""
        kind, shapes, _ = self.frozen
        if not is_layer_type(record["type"]) or layer_class(record["type"]) is not kind or _shapes(record) != shapes:
            return False
        get = record.get
        return all([get(name, _MISSING) is value and (same is None or same()) for name, value, same in self.fields])


def _names(kind: type[Layer]) -> tuple[str, ...]:
    return (*kind.simplenn_fields, *kind._record_options, "opts")


def _shapes(record: Any) -> Any:
    weights = record.get("weights")
    return tuple(map(shape_of, weights)) if isinstance(weights, (list, tuple)) else weights is None


def _frozen_fields(record: Any) -> Any:
    """The fields that a layer is made from, in a comparable form; None where they cannot be compared."""
    if not is_layer_type(record["type"]):
        return None
    kind = layer_class(record["type"])
    reader: Any = kind.from_record
    if not reader.__func__.__module__.startswith("pyconvnet.layers."):
        return None  # a user's reader may look at any field
    fields = [_frozen(record.get(field, _MISSING)) for field in _names(kind)]
    return None if _UNKNOWN in fields else (kind, _shapes(record), fields)


_MISSING, _UNKNOWN = object(), object()
_PLAIN = frozenset((int, float, str, bool, type(None), object))  # types of values that cannot be edited in place


def _same(value: Any) -> Callable[[], bool] | None:
    """Tells whether a value is as it was; None for one that cannot be edited in place."""
    if type(value) in _PLAIN:
        return None
    if type(value) in (list, tuple) and _PLAIN.issuperset(map(type, value)):
        items = tuple(value)
        return lambda: len(value) == len(items) and all(map(is_, value, items))
    frozen = _frozen(value)
    return lambda: _frozen(value) == frozen


def _frozen(value: Any) -> Any:
    """A value that does not change when the field is edited in place."""
    kind = type(value)
    if kind in _PLAIN:
        return kind, value
    if kind is np.ndarray and value.dtype != object and value.size <= 64:
        return value.dtype.str, value.shape, value.tobytes()
    if kind in (list, tuple):
        items = [_frozen(v) for v in value]
        return _UNKNOWN if _UNKNOWN in items else (kind, items)
    return _UNKNOWN
