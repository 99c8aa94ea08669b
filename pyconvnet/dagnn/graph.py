"""DagNN: a network as a directed acyclic graph of layers, with MATLAB's names for everything."""

from __future__ import annotations

import contextlib
import copy
import math
import os
from typing import Any

import numpy as np

from pyconvnet import devices
from pyconvnet import rng as library_rng
from pyconvnet.dagnn import convert, evaluate, printing, saved, sizes
from pyconvnet.dagnn.editing import Editing, copy_block
from pyconvnet.dagnn.parts import LayerEntry, Param, Table, Var
from pyconvnet.options import matlab_options
from pyconvnet.records import Meta, Struct


class DagNN(Editing):
    """A directed acyclic graph of layers, which exchange named variables and read named parameters.

    >>> import numpy as np, pyconvnet as pcn
    >>> dag = pcn.DagNN()
    >>> dag.addLayer("conv1", pcn.dagnn.Conv(size=[3, 3, 1, 4]), "input", "x1", ["f1", "b1"])
    >>> dag.addLayer("relu1", pcn.dagnn.ReLU(), "x1", "x2")
    >>> dag.initParams()
    >>> dag.eval({"input": np.ones((5, 5, 1, 2), np.float32)})
    >>> dag.vars["x2"].value.shape
    (3, 3, 4, 2)

    layers, vars, params  tables of the graph's parts: `dag.vars["x2"]`, `dag.layers[0]`;
                          `dag.layers = dag.layers[:-2]` removes the last two layers, as removeLayer does
    meta                  a Struct of whatever goes with the network
    mode                  'normal' for training, 'test' for dropout and batch normalization at rest
    conserveMemory        forget variables that are not needed any more (default); those with `precious` are kept
    accumulateParamDers   add parameter derivatives to those of earlier calls
    inputDers             False: convolutions that read inputs of the network only, none of them `precious`, leave out
                          the derivatives of those, as training does
    holdOn                as eval was last told; it concerns MATLAB's parameter server only, and nothing here
    device                where `move` brought it last: 'cpu', 'gpu' ...

    Beyond MatConvNet's, cycles, clashes of names and unknown names are refused, and no value or derivative of an
    earlier `eval` is ever taken for one of this.
    Source: MatConvNet manual, section 3.1.2 "DagNN".
    """

    __slots__ = (
        "__weakref__",
        "_device",
        "_given",
        "_kept",
        "_layers",
        "_mode",
        "_origin",
        "_params",
        "_passes_back",
        "_plan",
        "_predictors",
        "_vars",
        "accumulateParamDers",
        "computingDerivative",
        "conserveMemory",
        "executionOrder",
        "holdOn",
        "inputDers",
        "meta",
    )

    def __init__(self) -> None:
        self._layers: Table[LayerEntry] = Table("layer")
        self._vars: Table[Var] = Table("variable")
        self._params: Table[Param] = Table("parameter")
        self._origin: dict[str, Any] = {}
        self.meta = Meta()
        self._mode, self._device = "normal", "cpu"
        self.holdOn = self.accumulateParamDers = self.computingDerivative = False
        self.conserveMemory = self.inputDers = True
        self.executionOrder: list[int] = []
        self._plan: Any = None
        self._predictors: list[Any] = []
        self._passes_back = False  # whether it is in a call that does
        self._kept: Any = None  # the steps that forward ran, for backward
        self._given: list = []

    @property
    def layers(self) -> Table[LayerEntry]:
        """The layers. Setting it removes all others, as removeLayer does: dag.layers = dag.layers[:-2]."""
        return self._layers

    @layers.setter
    def layers(self, value: Any) -> None:
        self._keep(value)

    @property
    def vars(self) -> Table[Var]:
        """The variables, which follow from the layers."""
        return self._vars

    @vars.setter
    def vars(self, value: Any) -> None:
        raise AttributeError(
            "DagNN.vars cannot be set: variables follow from the layers; removeLayer removes unused ones, "
            "renameVar renames one, vars[name].value is its value"
        )

    @property
    def params(self) -> Table[Param]:
        """The parameters, which follow from the layers."""
        return self._params

    @params.setter
    def params(self, value: Any) -> None:
        raise AttributeError(
            "DagNN.params cannot be set: parameters follow from the layers; removeLayer removes unused "
            "ones, renameParam renames one, params[name].value is its value"
        )

    @property
    def mode(self) -> str:
        """'normal' (also set as 'train') or 'test'."""
        return self._mode

    @mode.setter
    def mode(self, value: str) -> None:
        known = {"normal": "normal", "train": "normal", "test": "test"}
        if not isinstance(value, str) or value.lower() not in known:
            raise ValueError(f"DagNN.mode must be 'normal' (or 'train') or 'test', got {value!r}")
        self._mode = known[value.lower()]

    @property
    def device(self) -> str:
        """Where the network's arrays are; `move` changes it."""
        return self._device

    # --- run ------------------------------------------------------------------------------------------------------

    @matlab_options()
    def eval(self, inputs: Any, derOutputs: Any = None, *, holdOn: Any = None) -> None:
        """Run the graph forward, and backward too where derOutputs are given.

        inputs      {'input': x, 'label': y}, or MATLAB's flat list ['input', x, 'label', y]
        derOutputs  {'objective': 1}: the weight of each scalar output, or an array like an output that is not scalar
        holdOn      True where further parts of the batch follow, which MATLAB's parameter server waits for; stored, and
                    without effect. It does not add derivatives up, as it does not in MATLAB: accumulateParamDers does

        Results are in `vars[name].value`, derivatives in `vars[name].der` and `params[name].der`. With
        conserveMemory the values of inner variables are forgotten as soon as they are not needed, and after the
        backward pass only the network's inputs have a derivative; `vars[name].precious = True` keeps both.
        Layers that lack an input do not run, so a part of the graph can be evaluated; an array without elements counts
        as none here, as in MATLAB (pyconvnet.predict takes a batch of no images). A variable that is given is not
        computed. Where an output is given a derivative and is read by a layer that passes one back, they add up.
        """
        if holdOn is not None:
            self.holdOn = bool(np.any(holdOn))
        evaluate.run(self, inputs, derOutputs)

    def forward(self, inputs: Any) -> None:
        """Run the graph forward, as eval does, and keep the values that `backward` reads.

        forward, then backward: the same as eval with both, but the derivatives of outputs may be computed
        in between, such as by another network that reads them:

            gen.forward({"noise": z})
            dis.eval({"image": gen.vars["image"].value, "label": real}, {"loss": 1})
            gen.backward({"image": dis.vars["image"].der})

        Where one network runs twice for one step, on two batches, parameter derivatives add up with
        accumulateParamDers = True for the second.
        """
        evaluate.run(self, inputs, keep=True)

    def backward(self, derOutputs: Any) -> None:
        """Pass derivatives back through the graph as the last `forward` ran it; derOutputs: see eval.

        With conserveMemory, backward forgets the values it has read: call `forward` before the next backward.
        The network must not have run in between, since layers remember their last batch only.
        Raises ValueError where forward has not run, or has not kept the variable.
        """
        evaluate.run_back(self, derOutputs)

    def forwardLayer(self, layer: LayerEntry) -> None:
        """One layer forward, as `eval` does it: Layer.forwardAdvanced unless overridden."""
        evaluate.forward_layer(self, layer)

    def backwardLayer(self, layer: LayerEntry) -> None:
        """One layer backward, as `eval` does it: Layer.backwardAdvanced unless overridden."""
        evaluate.backward_layer(self, layer)

    def initParams(self, rng: str | None = None, seed: int | None = None) -> None:
        """Give every parameter a first value, as its layer's initParams makes it.

        rng   None: drawn from the library's generator, which pyconvnet.rng.seed and compat.matlab.rng start; "numpy",
              or "matlab" for what MATLAB draws after rng(seed) or, without a seed, what its global stream gives next
        seed  a whole number, with rng; None: not started anew
        """
        if rng is not None:
            with library_rng.drawing_from(library_rng.chosen("DagNN.initParams: rng", rng, seed)):
                return self.initParams()
        if seed is not None:
            raise ValueError(f"DagNN.initParams: seed={seed!r} must come with rng='numpy' or rng='matlab'")
        for entry in self.layers:
            values = entry.block.initParams()
            if len(values) != len(entry.params):
                raise ValueError(
                    f"DagNN.initParams: layer {entry.name!r} ({type(entry.block).__name__}) makes {len(values)} "
                    f"parameters, it was added with {len(entry.params)}: {entry.params}"
                )
            for name, value in zip(entry.params, values):
                self.params[name].value = value

    def reset(self) -> None:
        """Forget all values and derivatives, and the memory of layers of earlier batches (averages, masks)."""
        for var in self.vars:
            var.value = var.der = None
        for param in self.params:
            param.der = None
        for entry in self.layers:
            entry.block.reset()
        self._given, self._kept = [], None

    def move(self, device: str) -> None:
        """Move the parameters to a device, forgetting values and derivatives: net.move("gpu").

        device  "cpu", "gpu", "cuda:1", "mps", "torch:cpu" ...: see pyconvnet.devices

        Raises ValueError for a device that is not there, ImportError without PyTorch.
        """
        name = devices.full_name("DagNN.move", device)
        values = [devices.move("DagNN.move", param.value, name) for param in self.params]
        self.reset()
        for param, value in zip(self.params, values):
            param.value = value
        for entry in self.layers:
            entry.block.move(device)
        self._device = device

    # --- look up --------------------------------------------------------------------------------------------------

    def getLayerIndex(self, name: Any) -> Any:
        """Position of the layer; NaN where there is none. A list of names gives a list."""
        return _positions(self.layers, name)

    def getVarIndex(self, name: Any) -> Any:
        """Position of the variable; NaN where there is none. A list of names gives a list."""
        return _positions(self.vars, name)

    def getParamIndex(self, name: Any) -> Any:
        """Position of the parameter; NaN where there is none. A list of names gives a list."""
        return _positions(self.params, name)

    def getLayer(self, name: Any) -> Any:
        """The layer of a name or position, or a list of them; UnknownName (a ValueError) where there is none."""
        return self.layers[name]

    def getVar(self, name: Any) -> Any:
        """The variable of a name or position, or a list of them."""
        return self.vars[name]

    def getParam(self, name: Any) -> Any:
        """The parameter of a name or position, or a list of them."""
        return self.params[name]

    def getInputs(self) -> list[str]:
        """Names of the variables that no layer writes."""
        return [v.name for v in self.vars if not v.fanin]

    def getOutputs(self) -> list[str]:
        """Names of the variables that no layer reads."""
        return [v.name for v in self.vars if not v.fanout]

    def getLayerExecutionOrder(self) -> list[int]:
        """Positions of the layers in the order they run."""
        return list(self.executionOrder)

    def getVarSizes(self, inputSizes: Any) -> list[tuple]:
        """(H, W, C, N) of every variable for given sizes of inputs; NaNs where it does not follow from them."""
        return sizes.var_sizes(self, inputSizes)

    def getVarReceptiveFields(self, var: Any) -> list:
        """Receptive field of every variable in the variable `var`: Struct(size, stride, offset), each (v, h).

        Empty where the variable does not depend on `var`, NaN where it is not a sliding window. For a list of
        variables, a list of such lists.
        """
        return sizes.receptive_fields(self, var)

    # --- show, copy, store ----------------------------------------------------------------------------------------

    def print(self, *args: Any, **options: Any) -> str:
        """Print tables of the network and return their text: see `pyconvnet.dagnn.printing.describe`."""
        if not args and not options:
            options = {"Variables": []}
        text = printing.describe(self, *args, **options)
        print(text, end="")
        return text

    def copy(self, shareValues: bool = False) -> DagNN:
        """A network of its own with the same layers, parameter values and settings, without values of variables.

        shareValues  parameters are the same arrays, not copies of them
        """
        new = type(self)()
        for entry in self.layers:
            new.addLayer(
                entry.name, copy_block(entry.block), entry.inputs, entry.outputs, entry.params, skipRebuild=True
            )
        new.rebuild()
        for old in self.params:
            param = new.params[old.name]
            param.value, param.trainMethod = old.value if shareValues else copy.deepcopy(old.value), old.trainMethod
            param.learningRate, param.weightDecay = old.learningRate, old.weightDecay
        for old in self.vars:
            new.vars[old.name].precious = old.precious
        new.meta = copy.deepcopy(self.meta)
        for setting in ("mode", "conserveMemory", "accumulateParamDers", "holdOn", "inputDers"):
            setattr(new, setting, getattr(self, setting))
        new._device = self._device
        return new

    def __copy__(self) -> DagNN:
        return self.copy()

    def __deepcopy__(self, memo: dict) -> DagNN:
        return self.copy()

    def __getstate__(self) -> Any:
        own = [s for s in DagNN.__slots__ if s != "__weakref__"]
        state = {s: getattr(self, s) for s in own} | {
            "_plan": None,
            "_predictors": [],
            "_kept": None,
            "_given": [],
            "_origin": {},
        }
        return getattr(self, "__dict__", None), state

    def saveobj(self) -> Struct:
        """The network as plain values, laid out as MatConvNet saves it."""
        return saved.save(self)

    @classmethod
    def loadobj(cls, s: Any) -> DagNN:
        """The network that saveobj, or MATLAB, stored as plain values; or in a file, for the path of one.

        A SimpleNN becomes the graph that fromSimpleNN makes, with a warning.
        """
        errors: Any = contextlib.nullcontext()
        if isinstance(s, (str, os.PathLike)):
            from pyconvnet.formats import registry

            errors, s = registry.naming(s), registry.read(s, "DagNN.loadobj")
        with errors:
            return s if isinstance(s, DagNN) else saved.load(cls, s)

    @classmethod
    def fromSimpleNN(cls, net: Any, *args: Any, **options: Any) -> DagNN:
        """The graph of a SimpleNN; see `pyconvnet.dagnn.convert.from_simplenn`."""
        return convert.from_simplenn(cls, net, *args, **options)

    def toSimpleNN(self, inputVar: str | None = None) -> Any:
        """The SimpleNN of a graph that is a chain; ValueError names the layer where it is not."""
        return convert.to_simplenn(self, inputVar)

    def _repr_html_(self) -> str:
        from pyconvnet.display import graph_html_table

        return graph_html_table(self)

    def __repr__(self) -> str:
        return f"DagNN({len(self.layers)} layers, {len(self.vars)} vars, {len(self.params)} params, mode={self.mode!r})"


def _positions(table: Table, name: Any) -> Any:
    if isinstance(name, str):
        return table.index.get(name, math.nan)
    if isinstance(name, (list, tuple)):
        return [_positions(table, n) for n in name]
    raise TypeError(f"the position of a {table.kind} is found by its name, got {type(name).__name__}: {name!r}")
