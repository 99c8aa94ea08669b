"""What a network is in torch, its modules and how they are wired: to_torch builds that, save writes it as source."""

from __future__ import annotations

import keyword
import math
import re
from typing import Any, NamedTuple

import numpy as np
from torch import nn

from pyconvnet.arrays import host_numbers
from pyconvnet.formats.names import free_name
from pyconvnet.formats.pytorch.layers import CONVERT, Part
from pyconvnet.layers import Loss, is_layer_type, layer_class
from pyconvnet.networks import is_graph
from pyconvnet.networks.base import sizes_in
from pyconvnet.networks.chain import without_loss
from pyconvnet.networks.graph import without_losses
from pyconvnet.text import listed, visible
from pyconvnet.values import as_array

Sizes = dict[str, tuple[float, ...]]
UNKNOWN = (math.nan,) * 4


class Module(NamedTuple):
    """One module: what it is, what it reads and writes, and its part of the state_dict."""

    name: str
    kind: str
    """nn.Conv2d, or the name of a class in modules.py"""
    args: tuple[Any, ...]
    options: dict[str, Any]
    inputs: list[str]
    output: str
    state: dict[str, np.ndarray]
    shared: dict[str, str]
    """key -> where in the state_dict of the network the same parameter stands already"""
    layer: str
    """the name in the network of the layer that it is, or is a part of"""


class Description(NamedTuple):
    """A network in torch."""

    modules: list[Module]
    inputs: dict[str, float]
    """name -> channels, NaN where unknown"""
    outputs: list[str]

    @property
    def is_chain(self) -> bool:
        """Whether each module reads what the one before it returns, and nothing else."""
        before = list(self.inputs)
        for module in self.modules:
            if module.inputs != before:
                return False
            before = [module.output]
        return len(self.inputs) == 1 and self.outputs == before

    def state(self) -> dict[str, np.ndarray]:
        """The state_dict."""
        own = {f"{m.name}.{key}": value for m in self.modules for key, value in m.state.items()}
        same = {f"{m.name}.{key}": own[of] for m in self.modules for key, of in m.shared.items()}
        return {**own, **same}


class Layer(NamedTuple):
    """A layer of a network of either kind."""

    name: str
    block: Any
    """or the error that says why there is none"""
    inputs: list[str]
    output: str
    params: list[Any]
    keys: list[Any]
    """one for each parameter, which is equal where layers share it"""


def describe(fn: str, net: Any, inputSize: Any = None) -> Description:
    """The modules of a network without its losses, which are left out as predict does.

    Raises ValueError that names all layers that cannot be expressed in torch; fn is named in errors.
    """
    layers, sources, targets, after = (_graph if is_graph(net) else _chain)(fn, net)
    sizes = _sizes(layers, _input_sizes(fn, net, sources, inputSize))
    for at, name in enumerate(targets):
        if name in after and not (after[name] == "softmax" and sizes[name][2] == 1):
            targets[at] = free_name("prob", set(sizes))
            layers.append(Layer("prediction", layer_class(after[name])(), [name], targets[at], [], []))
            sizes[targets[at]] = sizes[name]
    names, variables = _Names(RESERVED), _Names(_LOCALS)
    modules: list[Module] = []
    seen: dict[Any, tuple[str, tuple[int, ...]]] = {}
    problems = []
    for layer in layers:
        try:
            modules += _modules(layer, _parts(layer, sizes[layer.inputs[0]][2]), names, variables, seen)
        except (ValueError, TypeError) as error:
            problems.append(f"{layer.name!r}: {error}")
    if problems:
        raise ValueError(f"{fn}: these layers have no counterpart in torch: {'; '.join(problems)}")
    return Description(modules, {variables[n]: sizes[n][2] for n in sources}, [variables[n] for n in targets])


def _chain(fn: str, net: Any) -> tuple[list[Layer], list[str], list[str], dict[str, str]]:
    layers = []
    for at, record in enumerate(without_loss(net)["layers"]):
        block: Any
        try:
            known = is_layer_type(record["type"])
            block = layer_class(record["type"]).from_record(record) if known else _no_module(record["type"])
        except (ValueError, TypeError, KeyError) as error:
            block = error
        weights = list(record.get("weights") or ())
        keys = [(at, i) for i in range(len(weights))]
        layers.append(Layer(record.get("name") or f"layer{at + 1}", block, [f"x{at}"], f"x{at + 1}", weights, keys))
    return layers, ["x0"], [f"x{len(layers)}"], {}


def _graph(fn: str, net: Any) -> tuple[list[Layer], list[str], list[str], dict[str, str]]:
    graph, sources, _, after = without_losses(net)
    labels = {name for entry in net.layers if isinstance(entry.block, Loss) for name in entry.inputs[1:]}
    layers = []
    for entry in (graph.layers[at] for at in graph.executionOrder):
        if len(entry.outputs) != 1 or not entry.inputs:
            raise ValueError(f"{fn}: layer {entry.name!r} must have inputs and one output")
        params = [param.value for param in graph.params[entry.params]]
        if lacking := [name for name, value in zip(entry.params, params) if value is None]:
            raise ValueError(f"{fn}: the parameters {listed(lacking)} have no values: initParams gives first ones")
        layers.append(Layer(entry.name, entry.block, entry.inputs, entry.outputs[0], params, entry.params))
    return layers, sources, [name for name in graph.getOutputs() if name not in labels], after


def _no_module(kind: str) -> ValueError:
    return ValueError(f"there is no module for {visible(kind)}")


def _parts(layer: Layer, channels: float) -> list[Part]:
    if isinstance(layer.block, Exception):
        raise ValueError(str(layer.block))
    function = CONVERT.get(type(layer.block))
    if function is None:
        raise _no_module(layer.block.matlab_class or type(layer.block).__name__)
    return function(layer.block, [np.zeros(0) if p is None else host_numbers(p) for p in layer.params], channels)


def _modules(layer: Layer, parts: list[Part], names: _Names, variables: _Names, seen: dict[Any, Any]) -> list[Module]:
    """The parts of a layer as modules, wired one after the other."""
    out: list[Module] = []
    inputs = [variables[name] for name in layer.inputs]
    for at, part in enumerate(parts):
        name = names.new(f"{layer.name}_{part.suffix}" if part.suffix else layer.name)
        output = variables[layer.output] if part is parts[-1] else variables.new(f"{layer.output}_{part.suffix or at}")
        state, shared, used = {}, {}, [0] * len(layer.params)
        for key, (which, value) in part.state.items():
            if which >= len(layer.params):  # not a parameter of the network
                state[key] = value
                continue
            source = layer.keys[which], used[which]
            used[which] += 1
            where, shape = seen.setdefault(source, (f"{name}.{key}", value.shape))
            if shape != value.shape:
                raise ValueError(f"it has the parameter {source[0]} in another shape than {where} has it")
            if where == f"{name}.{key}":
                state[key] = value
            else:
                shared[key] = where
        out.append(Module(name, part.kind, part.args, part.options, inputs, output, state, shared, layer.name))
        inputs = [output]
    return out


def _sizes(layers: list[Layer], sizes: Sizes) -> Sizes:
    """The size of every variable, NaN where it is not known; of a network only the channels matter here."""
    for layer in layers:
        given = [sizes[name] for name in layer.inputs]
        try:
            (size,) = layer.block.getOutputSizes(given)
            sizes[layer.output] = (*size, *UNKNOWN)[:4]
        except (ValueError, TypeError, AttributeError):  # of layers that tell nothing, which are refused later
            sizes[layer.output] = UNKNOWN
    return sizes


def _input_sizes(fn: str, net: Any, sources: list[str], inputSize: Any) -> Sizes:
    """The sizes of the inputs: as given, else as meta says of the only one."""
    sizes: Sizes = dict.fromkeys(sources, UNKNOWN)
    if inputSize is None and len(sources) == 1:
        found = sizes_in(getattr(net, "meta", None))
        size = found.get(sources[0], found.get("", UNKNOWN))
        inputSize = None if math.isnan(size[2]) else size[:3]
    if inputSize is None:
        return sizes
    given = inputSize if isinstance(inputSize, dict) else {sources[0]: inputSize} if len(sources) == 1 else None
    if given is None or not set(given) <= set(sources):
        raise ValueError(f"{fn}: inputSize must have a size for the inputs {listed(sources)} by name")
    for name, size in given.items():
        numbers = as_array(size).ravel()
        if numbers.dtype.kind not in "iuf" or numbers.size not in (3, 4):
            raise ValueError(f"{fn}: inputSize must be (H, W, C) or (H, W, C, N), got {size!r} for {name}")
        sizes[name] = (*numbers.tolist(), math.nan)[:4]
    return sizes


class _Names:
    """Identifiers for names of a file: '1x1/conv' -> layer_1x1_conv."""

    def __init__(self, reserved: frozenset[str]) -> None:
        self._taken, self._known = set(reserved), dict[str, str]()

    def new(self, name: str) -> str:
        """One that was not given yet; `names[name]` gives the same again."""
        plain = re.sub(r"\W", "_", name, flags=re.ASCII).lstrip("_")[:100]
        plain = plain if plain and not plain[0].isdigit() else f"layer_{plain}"
        return free_name(plain, self._taken)

    def __getitem__(self, name: str) -> str:
        if name not in self._known:
            self._known[name] = self.new(name)
        return self._known[name]


# What a module has already, by which no other can be called; and what a forward function reads beside its variables
RESERVED = frozenset({*dir(nn.Sequential()), *keyword.kwlist, "inputs", "outputs", "wiring"})
_LOCALS = frozenset({"self", "super", "torch", "nn", "F", *keyword.kwlist})
