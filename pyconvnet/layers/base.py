"""Layer: the base of every layer class."""

from __future__ import annotations

import copy
import math
from typing import Any, ClassVar

import numpy as np

from pyconvnet.layers import checks
from pyconvnet.layers.registry import register
from pyconvnet.layers.unchanged import last_change
from pyconvnet.options import did_you_mean, option_list
from pyconvnet.records import Struct
from pyconvnet.text import listed

Size = tuple[int, int, int, int]
UNKNOWN_SIZE = (math.nan,) * 4
# Methods that compute: a class that overrides one of them does not inherit the backward_uses of its base.
_COMPUTING = ("forward", "backward", "forwardAdvanced", "backwardAdvanced", "runForward", "runBackward")


class Layer:
    """One layer of a network: the same class serves SimpleNN (by `simplenn` type) and DagNN (by its class name).

    Subclass it to bring your own; defining the class registers it, in SimpleNN under its `simplenn` type and
    in DagNN under its name:

        class Softsign(ElementWise):    # pixel by pixel: the output has the size of the input
            simplenn = "softsign"       # {'type': 'softsign'} in a SimpleNN; leave out for DagNN only
            scale = 1.0                 # a property with its default, saved and loaded with the network

            def forward(self, inputs, params):
                x, = inputs
                return [x / (self.scale + abs(x))]

            def backward(self, inputs, params, derOutputs):
                ...
                return [dzdx], []

    A type or name that another class has is refused: the same class of the same module alone may be defined again.
    `class Conv(Layer, replace=True)` takes the place of the other. A class with `yields=True` leaves its place to any
    other: what MatConvNet has in its examples only, which ported code defines itself. With `block=False` the class is
    not a DagNN block: a base of other classes, or a layer of SimpleNN only.

    pyconvnet.check_derivatives(Softsign(), [x]) tells whether backward fits forward.

    Public class attributes that are neither methods nor listed below are its properties. State that backward needs from
    forward (a dropout mask) goes into `self.aux`.

    simplenn         SimpleNN type, or a tuple of them (the first is written when saving)
    simplenn_fields  fields of a SimpleNN record with the defaults that vl_simplenn_tidy fills in; left out, the
                     properties that the class defines
    simplenn_names   SimpleNN field -> property, where the names differ ({'pool': 'poolSize'})
    simplenn_inputs  fields of a SimpleNN record that are further inputs of forward (('class',) for a loss)
    transient        properties that are not saved; the list of a base class is inherited and added to
    averaged         positions of parameters that training sets to a running average of what backward returns for them
                     (the moments of batch normalization), instead of descending along it
    param_suffixes   what DagNN.fromSimpleNN appends to the layer's name to name its parameters (("f", "b"))
    backward_uses    what backward reads of the forward pass: "inputs" (default); "outputs", which it is given in place
                     of `inputs` (a rectifier: only their signs count); "both" (`inputs` are the inputs; the outputs
                     are still in the network); "nothing"; or a tuple of positions, such as (0,), of the inputs that it
                     reads. The other items of `inputs` are None: where sizes are enough, forward keeps them in `aux`.
                     A class that overrides forward or backward must declare it again; it does not inherit it
    averages         whether the output is a mean over the images of the batch (a loss), rather than a sum
    test_differs     whether the layer does something else in test mode
    matlab_class     the MATLAB class that DagNN.saveobj writes, where it is not "dagnn." and the name of this one
    table_labels     SimpleNN type -> what tables call it (today, in v1.0-beta7), where it is not the type itself

    A class with a property `opts` says in effective_options which properties are options of its operator.
    """

    simplenn: ClassVar[str | tuple[str, ...]] = ()
    simplenn_fields: ClassVar[dict[str, Any]] = {}
    simplenn_names: ClassVar[dict[str, str]] = {}
    simplenn_inputs: ClassVar[tuple[str, ...]] = ()
    transient: ClassVar[tuple[str, ...]] = ()
    averaged: ClassVar[tuple[int, ...]] = ()
    param_suffixes: ClassVar[tuple[str, ...]] = ()
    backward_uses: str | tuple[int, ...] = "inputs"
    averages: bool = False
    test_differs: ClassVar[bool] = False
    matlab_class: str = ""
    table_labels: ClassVar[dict[str, tuple[str, str]]] = {}

    _reserved: ClassVar[frozenset[str]] = frozenset(
        "simplenn simplenn_fields simplenn_names simplenn_inputs transient averaged param_suffixes backward_uses "
        "averages test_differs matlab_class table_labels aux net layerIndex input_der".split()
    )
    _fields: ClassVar[dict[str, Any]] = {}
    _block: ClassVar[bool] = False  # whether it is a DagNN block
    _yields: ClassVar[bool] = False
    _built_in: ClassVar[bool] = False  # whether it is the library's own, and not a user's
    _record_options: ClassVar[tuple[str, ...]] = ()  # options that a SimpleNN record may have and tidy does not add

    _kept_options: dict[str, Any] | None = None  # by pyconvnet.options.effective, until a property changes
    _version: int = 0  # how often a property was set

    aux: Any = None
    _for_backward: Any = None  # what forward keeps where backward follows in the same call of the network
    input_der: bool = True  # whether derivatives of the inputs are asked for; a layer may return them all the same
    net: Any = None
    layerIndex: int | None = None

    def __init_subclass__(
        cls, *, block: bool = True, replace: bool = False, yields: bool = False, **kwargs: Any
    ) -> None:
        super().__init_subclass__(**kwargs)
        cls._fields = {
            name: value
            for owner in reversed(cls.__mro__[:-1])
            for name, value in vars(owner).items()
            if not name.startswith("_")
            and name not in Layer._reserved
            and not callable(value)
            and not isinstance(value, (property, classmethod, staticmethod))
        }
        inherited = (name for owner in reversed(cls.__mro__) for name in vars(owner).get("transient", ()))
        cls.transient = tuple(dict.fromkeys(inherited))
        if "backward_uses" not in vars(cls) and any(name in vars(cls) for name in _COMPUTING):
            cls.backward_uses = "inputs"
        if "simplenn" in vars(cls) and "simplenn_fields" not in vars(cls):
            cls.simplenn_fields = {
                **cls.simplenn_fields,
                **{k: v for k, v in cls._fields.items() if k in vars(cls) and k not in cls.transient},
            }
        types = (cls.simplenn,) if isinstance(cls.simplenn, str) else cls.simplenn
        cls._block, cls._yields = block, yields
        cls._built_in = cls.__module__.startswith("pyconvnet.layers.")
        register(cls, types if "simplenn" in vars(cls) else (), block, replace)

    def __init__(self, *args: Any, **fields: Any) -> None:
        for name, value in self._fields.items():
            if isinstance(value, (list, dict, np.ndarray)):
                setattr(self, name, copy.copy(value))
        self.load(*args, **fields)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name in self._fields:
            self._changed()

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        self._changed()

    def _changed(self) -> None:
        """A property was set: what was made from the properties does not hold any longer."""
        self.__dict__["_kept_options"] = None
        self.__dict__["_version"] = self._version + 1
        last_change[0] = object()

    # --- the two ways a network calls a layer ---------------------------------------------------------------

    def forward(self, inputs: list[Any], params: list[Any]) -> list[Any]:
        """Outputs of the layer for its inputs and parameters."""
        raise TypeError(f"{type(self).__name__}.forward is not defined: a layer class must define it")

    def backward(self, inputs: list[Any], params: list[Any], derOutputs: list[Any]) -> tuple[list[Any], list[Any]]:
        """Derivatives (derInputs, derParams); None means that there is no derivative."""
        raise TypeError(f"{type(self).__name__}.backward is not defined, so no derivative passes through this layer")

    def forwardAdvanced(self, layer: Any) -> None:
        """Run `layer`, the entry of a DagNN that holds this block: read its inputs in the net, write its outputs.

        Override it for what forward cannot do, such as running where an input is missing; `self.net.vars` and
        `layer.inputIndexes`, `layer.outputIndexes`, `layer.paramIndexes` give access to everything.
        """
        self.net.forwardLayer(layer)

    def backwardAdvanced(self, layer: Any) -> None:
        """The same for the backward pass: read derivatives of the outputs, add those of inputs and parameters."""
        self.net.backwardLayer(layer)

    def effective_options(self) -> dict[str, Any]:
        """The options that forward, sizes, tables and conversions use: properties, overridden by `opts`.

        `return effective(vl_nnrelu, self, "leak")`, see pyconvnet.options. Unless overridden: none.
        """
        return {}

    # --- sizes ------------------------------------------------------------------------------------------------

    def getOutputSizes(self, inputSizes: list[Size]) -> list[Size]:
        """(H, W, C, N) of each output, NaN where it is not known. Unless overridden: nothing is known.

        Layers that keep the size of their first input subclass ElementWise, which says so.
        """
        return [UNKNOWN_SIZE] * (1 if self.layerIndex is None else len(self.net.layers[self.layerIndex].outputs))

    def _check_sizes(self, inputSizes: list[Size], params: list[tuple[int, ...]]) -> None:
        """ValueError, as of forward, for inputs of such sizes (NaN where not known); params: shapes of parameters.

        getOutputSizes does not ask: as MATLAB's, it answers less than 1 for a window that does not fit.
        """

    def getReceptiveFields(self) -> Any:
        """Struct(size, stride, offset), each (vertical, horizontal); [] where nothing is known.

        A list of rows, one per input, of one Struct per output, where there is more than one of either.
        """
        return []

    # --- tables -----------------------------------------------------------------------------------------------

    def table_label(self, type: str, classic: bool = False) -> str:
        """What a table calls this layer, whose record has that `type`; classic: as v1.0-beta7 did."""
        return self.table_labels.get(type, (type, type))[classic]

    def table_filters(self) -> tuple[Any, Any, Any] | None:
        """(depth of a filter, dilation, number of filters); None where a table says nothing of filters."""
        return None

    def table_size(self, size: tuple[float, ...], record: dict[str, Any]) -> tuple[float, ...] | None:
        """H x W x C x N of the output for that input, NaN where unknown, as vl_simplenn_display counts it.

        Unless overridden: getOutputSizes. None: the size that follows from the record's own stride and pad, as in
        MATLAB's table for an unknown type.
        """
        if type(self) is Layer:
            return None
        return self.getOutputSizes([size])[0]

    # --- parameters -------------------------------------------------------------------------------------------

    def initParams(self) -> list[np.ndarray]:
        """First values of the parameters."""
        return []

    # --- state ------------------------------------------------------------------------------------------------

    @property
    def mode(self) -> str:
        """'normal' or 'test': the mode of the network that the layer is attached to; 'normal' where there is none."""
        return getattr(self.net, "mode", "normal")

    @property
    def _backward_follows(self) -> bool:
        """Whether the network is in a call that passes back as well: meanwhile nobody writes to what lies between."""
        return getattr(self.net, "_passes_back", False)

    def reset(self) -> None:
        """Forget the state of earlier batches."""
        self.aux = None

    def move(self, device: str) -> None:
        """Called when the network moves to a device; nothing to do for arrays in main memory."""

    def attach(self, net: Any, index: int) -> None:
        """Called by DagNN when the layer is added; override to set up parameters or variables."""
        self.net, self.layerIndex = net, index

    def load(self, *args: Any, **fields: Any) -> None:
        """Set properties from keywords, from one dict, or from MATLAB's 'name', value list."""
        if len(args) == 1 and isinstance(args[0], dict):
            fields = {**args[0], **fields}
        else:
            if len(args) == 1 and isinstance(args[0], (list, tuple)):
                args = tuple(args[0])
            if len(args) % 2:
                raise ValueError(f"{type(self).__name__}: options come in name, value pairs, got {len(args)} items")
            fields = {**dict(zip(args[::2], args[1::2])), **fields}
        for name, value in fields.items():
            if name not in self._fields:
                known = ", ".join(self._fields) or "none"
                hint = did_you_mean(name, self._fields, f"its properties: {known}")
                raise ValueError(f"{type(self).__name__}: no property {name!r}; {hint}")
            setattr(self, name, value)

    def save(self) -> Struct:
        """The properties as a Struct, the opposite of load."""
        return Struct({name: getattr(self, name) for name in self._fields if name not in self.transient})

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.save().items())})"

    # --- SimpleNN ---------------------------------------------------------------------------------------------

    def runForward(self, record: Any, before: Any, after: Any) -> Any:
        """Run as the layer `record` of a SimpleNN, from the result before it to that after it, which is returned."""
        self.aux = after.aux
        inputs = [before.x, *(record.get(f) for f in self.simplenn_inputs)]
        (after.x,) = checks.outputs(self.forward(inputs, self._weights(record)), 1)
        after.aux = self.aux
        return after

    def runBackward(self, record: Any, before: Any, after: Any) -> Any:
        """The same for the backward pass: `before` with dzdx, the derivatives of the weights in dzdw."""
        self.aux = after.aux
        reads, outputs = backward_reads(self, 1)
        x = before.x if reads else after.x if outputs else None
        inputs = [x, *(record.get(f) for f in self.simplenn_inputs)]
        weights = self._weights(record)
        returned = self.backward(inputs, weights, [after.dzdx])
        (before.dzdx, *_), before.dzdw = checks.derivatives(returned, inputs, weights, len(inputs) - 1)
        return before

    @staticmethod
    def _weights(record: Any) -> list[Any]:
        weights = record.get("weights")
        return [] if weights is None else list(weights)

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Layer:
        """The layer that a SimpleNN record describes."""
        layer = cls()
        for field, default in cls.simplenn_fields.items():
            name = cls.simplenn_names.get(field, field)
            if name in cls._fields:
                # past the setters of blocks, which accept more forms of a value than vl_simplenn does
                vars(layer)[name] = _scalar(record.get(field, default), default)
        return layer

    @classmethod
    def shapedWeights(cls, weights: list[Any], channels: int | None) -> list[Any]:
        """The weights of a record as a file has them, in the shapes that the layer needs.

        MATLAB drops trailing dimensions of 1, other programs drop any. channels: of the input, None if unknown.
        """
        return weights

    def to_record(self) -> Struct:
        """The SimpleNN fields (without name and weights) that describe this layer."""
        types = (self.simplenn,) if isinstance(self.simplenn, str) else self.simplenn
        if not types:
            raise ValueError(f"{type(self).__name__} has no SimpleNN type: it runs in a DagNN only")
        owner = next(cls for cls in type(self).__mro__ if "simplenn" in vars(cls))
        if owner is not type(self):
            raise ValueError(
                f"{type(self).__name__} has no SimpleNN type of its own (`simplenn`), and {types[0]!r} is "
                f"{owner.__name__}"
            )
        options = self.effective_options()
        out = Struct(type=types[0])
        for field in self.simplenn_fields:
            name = self.simplenn_names.get(field, field)
            if name in options or name in self._fields:
                out[field] = options.pop(name, getattr(self, name, None))
        if "opts" in out:
            out.opts = list(option_list(out.opts))
        elif lost := [name for name in options if name not in self._record_options]:
            raise ValueError(f"a SimpleNN record {types[0]!r} has no field for {listed(lost)}, which opts sets")
        return out


def _scalar(value: Any, default: Any) -> Any:
    """A number of a file, which is an array there, as a number where the default is one."""
    if isinstance(default, (bool, int, float)) and isinstance(value, np.ndarray) and value.size == 1:
        return value.item()
    return value


def backward_reads(layer: Layer, count: int) -> tuple[tuple[int, ...], bool]:
    """For a layer with `count` inputs: positions of the inputs that backward reads, and whether it reads outputs."""
    uses = layer.backward_uses
    if uses in ("inputs", "both"):
        return tuple(range(count)), uses == "both"
    if uses in ("outputs", "nothing"):
        return (), uses == "outputs"
    if isinstance(uses, (tuple, list)) and all(isinstance(i, int) and i >= 0 for i in uses):
        return tuple(i for i in uses if i < count), False
    raise ValueError(
        f"{type(layer).__name__}.backward_uses must be 'inputs', 'outputs', 'both', 'nothing' or a tuple of positions "
        f"of inputs, got {uses!r}"
    )


def unpack_inputs(layer: Layer, inputs: list[Any], *names: str) -> list[Any]:
    """The inputs of a layer; ValueError unless there is one for each name."""
    if len(inputs) != len(names):
        raise ValueError(
            f"{type(layer).__name__} must have {len(names)} inputs ({', '.join(names)}), got {len(inputs)}"
        )
    return inputs
