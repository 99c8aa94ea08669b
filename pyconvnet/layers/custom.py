"""Custom: a SimpleNN layer of the user's own functions (SimpleNN 'custom')."""

from __future__ import annotations

from typing import Any

from pyconvnet.layers.base import Layer


class Custom(Layer):
    """Runs the record's own `forward(layer, before, after)` and `backward(layer, before, after)`.

    `before` and `after` are the results on the two sides of the layer; forward returns `after` with x (and aux) set,
    backward `before` with dzdx (and dzdw) set. What they return may also be changed in place.
    """

    simplenn = "custom"

    def runForward(self, record: Any, before: Any, after: Any) -> Any:
        return self._call("forward", record, before, after)

    def runBackward(self, record: Any, before: Any, after: Any) -> Any:
        return self._call("backward", record, before, after)

    def _call(self, name: str, record: Any, before: Any, after: Any) -> Any:
        function = record.get(name)
        if not callable(function):
            raise TypeError(f"vl_simplenn: the layer is 'custom' and takes a function in its field {name!r}")
        return function(record, before, after)

    def table_size(self, size, record):
        tell = record.get("getForwardSize")
        if callable(tell):
            return tell(record, size)
        return None
