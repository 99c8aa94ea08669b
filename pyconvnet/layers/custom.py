"""Custom: a SimpleNN layer of the user's own functions (SimpleNN 'custom')."""

from __future__ import annotations

import math
from typing import Any

from pyconvnet.geometry import Window
from pyconvnet.layers import checks
from pyconvnet.layers.base import Layer
from pyconvnet.options import naming
from pyconvnet.records import Opaque


class Custom(Layer, block=False):
    """Runs the record's own `forward(layer, before, after)` and `backward(layer, before, after)`.

    `before` and `after` are the results on the two sides of the layer; forward returns `after` with x (and aux) set,
    backward `before` with dzdx (and dzdw) set. A function that changes it in place need not return it.
    A table asks the record's `getForwardSize(layer, size)`; without it the channels of the output are not known.
    """

    simplenn = "custom"
    backward_uses = "both"

    def runForward(self, record: Any, before: Any, after: Any) -> Any:
        return self._call("forward", record, before, after, after)

    def runBackward(self, record: Any, before: Any, after: Any) -> Any:
        returned = self._call("backward", record, before, after, before)
        checks.derivatives(([returned.get("dzdx")], []), [before.x], [])
        return returned

    @staticmethod
    def _call(name: str, record: Any, before: Any, after: Any, changed: Any) -> Any:
        function = record.get(name)
        if not callable(function):
            raise TypeError(
                f"vl_simplenn: field {name!r} of a custom layer must be a function, got {type(function).__name__}"
            )
        returned = function(record, before, after)
        if returned is not None and not isinstance(returned, dict):
            what = "after" if name == "forward" else "before"
            raise TypeError(f"{name} of a custom layer returns {what!r} or nothing, got {type(returned).__name__}")
        return changed if returned is None else returned

    def table_size(self, size, record):
        tell = record.get("getForwardSize")
        if callable(tell) and not isinstance(tell, Opaque):
            return tell(record, size)
        with naming("custom"):
            window = Window.parse(1, record.get("stride", 1), record.get("pad", 0))
        return (*window.output_size(*size[:2]), math.nan, size[3])
