"""Editing: adding, removing, connecting and renaming the layers of a graph."""

from __future__ import annotations

import copy
import warnings
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from pyconvnet.dagnn.order import execution_order
from pyconvnet.dagnn.parts import LayerEntry, Param, Table, Var, names
from pyconvnet.layers.base import Layer
from pyconvnet.options import read_pairs


class Editing:
    """The part of DagNN that changes the graph. A change that is refused leaves the graph as it was."""

    __slots__ = ()

    if TYPE_CHECKING:  # of DagNN
        layers: Table[LayerEntry]
        vars: Table[Var]
        params: Table[Param]
        executionOrder: Any
        _plan: Any
        _predictors: Any
        _origin: dict[str, Any]

    def addLayer(
        self,
        name: str,
        block: Layer,
        inputs: Any,
        outputs: Any,
        params: Any = None,
        *pairs: Any,
        skipRebuild: bool = False,
    ) -> None:
        """Add a layer: inputs and outputs are names of variables, params of parameters, one or a list of each.

        A block that is part of a graph already is copied. skipRebuild: for adding many layers; call `rebuild` after.
        Layers that name one parameter share it; so do those of two graphs that are put into one, which warns where
        the values differ: there, give other names.
        """
        fn = "DagNN.addLayer"
        skipRebuild = read_pairs(fn, pairs, {"skiprebuild": "skipRebuild"}).get("skipRebuild", skipRebuild)
        if not isinstance(name, str) or not name:
            raise TypeError(f"{fn}: name must be a string that is not empty, got {type(name).__name__}: {name!r}")
        if name in self.layers.index:
            raise ValueError(f"{fn}: there is a layer {name!r} already")
        if not isinstance(block, Layer):
            raise TypeError(f"{fn}: block of layer {name!r} must be a dagnn.Layer such as dagnn.Conv(), got {block!r}")
        source = block.net if isinstance(block.net, Editing) and block.net is not self else None
        if block.net is not None:
            block = copy_block(block)
        entry = LayerEntry(
            name, block, names(fn, "inputs", inputs), names(fn, "outputs", outputs), names(fn, "params", params)
        )
        with self._change(skipRebuild):
            self.layers.append(entry)
            self.layers.index[name] = index = len(self.layers) - 1
            for var in (*entry.inputs, *entry.outputs):
                self.addVar(var)
            before = set(self.params.index)
            if source is not None:
                self._warn_of_sharing(entry, source)
            for param in entry.params:
                self.addParam(param)
            for i in block.averaged:
                if i < len(entry.params) and entry.params[i] not in before:
                    param = self.params[entry.params[i]]
                    param.trainMethod, param.learningRate = "average", 0.1
            block.attach(self, index)

    def _warn_of_sharing(self, entry: LayerEntry, source: Any) -> None:
        """Say which parameters of a layer of another graph become parameters that this one has already."""
        shared = []
        for name in entry.params:
            known = self._origin.get(name)
            if name not in self.params.index:
                self._origin[name] = weakref.ref(source)
            elif (known is None or known() is not source) and not _same(self.params[name], source):
                shared.append(name)
        if shared:
            warnings.warn(
                f"DagNN.addLayer: layer {entry.name!r} is one of another graph, and this one has parameters of the "
                f"names {', '.join(map(repr, shared))} already: the layers share them, with one value. Where that is "
                "not meant, give params other names, or call renameParam on one graph before",
                stacklevel=4,
            )

    def _keep(self, layers: Any) -> None:
        """Keep these layers, in this order, and remove the others."""
        known = {id(entry) for entry in self.layers}
        if not isinstance(layers, (list, tuple)) or not all(id(entry) in known for entry in layers):
            raise TypeError(
                "DagNN.layers must be layers of this graph that are kept, as in `net.layers = net.layers[:-2]`; "
                "removeLayer removes by name, addLayer adds"
            )
        gone = [entry for entry in self.layers if not any(entry is kept for kept in layers)]
        with self._change():
            self.layers[:] = layers
        for entry in gone:
            entry.block.net = entry.block.layerIndex = None

    def removeLayer(self, name: str | list[str]) -> None:
        """Remove a layer or several, and the variables and parameters that nothing uses any more."""
        gone = [self.layers[n] for n in names("DagNN.removeLayer", "name", name)]
        with self._change():
            self.layers[:] = [entry for entry in self.layers if entry not in gone]
        for entry in gone:
            entry.block.net = entry.block.layerIndex = None

    def setLayerInputs(self, layer: str, inputs: Any) -> None:
        """Connect the inputs of a layer to these variables."""
        self._connect(layer, "inputs", names("DagNN.setLayerInputs", "inputs", inputs))

    def setLayerOutputs(self, layer: str, outputs: Any) -> None:
        """Let a layer write these variables."""
        self._connect(layer, "outputs", names("DagNN.setLayerOutputs", "outputs", outputs))

    setLayerOutput = setLayerOutputs

    def setLayerParams(self, layer: str, params: Any) -> None:
        """Let a layer read these parameters."""
        self._connect(layer, "params", names("DagNN.setLayerParams", "params", params))

    def _connect(self, layer: str, what: str, to: list[str]) -> None:
        entry = self.layers[layer]
        with self._change():
            setattr(entry, what, to)

    def renameLayer(self, oldName: str, newName: str, *pairs: Any, quiet: bool = False) -> None:
        """Change the name of a layer; the new one must be free. quiet: do nothing where there is no such layer."""
        self._rename(self.layers, oldName, newName, (), "DagNN.renameLayer", pairs, quiet)

    def renameVar(self, oldName: str, newName: str, *pairs: Any, quiet: bool = False) -> None:
        """Change the name of a variable everywhere. quiet: do nothing where there is no such variable.

        Where newName is a variable already, the two become it, as in MATLAB: so the readers of a removed layer are
        connected to its input, `renameVar(layer.outputs[0], layer.inputs[0])`. Two written variables are refused.
        """
        self._rename(self.vars, oldName, newName, ("inputs", "outputs"), "DagNN.renameVar", pairs, quiet)

    def renameParam(self, oldName: str, newName: str, *pairs: Any, quiet: bool = False) -> None:
        """Change the name of a parameter everywhere; the new one must be free. quiet: as in renameVar."""
        self._rename(self.params, oldName, newName, ("params",), "DagNN.renameParam", pairs, quiet)

    def _rename(
        self, table: Table, old: str, new: str, fields: tuple[str, ...], fn: str, pairs: Any, quiet: bool
    ) -> None:
        if read_pairs(fn, pairs, {"quiet": "quiet"}).get("quiet", quiet) and old not in table:
            return
        part = table[old]
        if part.name == new:
            return
        if not isinstance(new, str) or not new:
            raise TypeError(f"{fn}: the new name of {table.kind} {old!r} must be a string, got {new!r}")
        merge = new in table.index
        if merge and not (table is self.vars and not (part.fanin and table[new].fanin)):
            raise ValueError(f"{fn}: {table.kind} {old!r} cannot be renamed to {new!r}: that name is taken")
        old = part.name
        with self._change():
            for entry in self.layers:
                for field in fields:
                    setattr(entry, field, [new if n == old else n for n in getattr(entry, field)])
            if not merge:
                part.name = new

    def rebuild(self) -> None:
        """Bring positions, fan-in, fan-out and execution order up to date; drop unused variables and parameters.

        Raises ValueError where two layers have one name or write one variable, or where the graph has a cycle.
        """
        self._plan, self._predictors = None, []
        for entry in self.layers:  # whatever users set them to: one name, a tuple, nothing
            for field in ("inputs", "outputs", "params"):
                setattr(entry, field, names("DagNN.rebuild", field, getattr(entry, field)))
        order = execution_order(self.layers)
        for table in (self.layers, self.vars, self.params):
            table.reindex()
        if len(self.layers.index) < len(self.layers):
            twice = next(e.name for i, e in enumerate(self.layers) if self.layers.index[e.name] != i)
            raise ValueError(f"DagNN: two layers are called {twice!r}")
        writer: dict[str, str] = {}
        for entry in self.layers:
            for name in entry.outputs:
                if name in writer:
                    raise ValueError(
                        f"DagNN: variable {name!r} is an output of layer {writer[name]!r} "
                        f"and cannot be one of layer {entry.name!r} too"
                    )
                writer[name] = entry.name
        for part in self.vars:
            part.fanin = part.fanout = 0
        for part in self.params:
            part.fanout = 0
        for entry in self.layers:
            for name in entry.inputs:
                self.vars[self.addVar(name)].fanout += 1
            for name in entry.outputs:
                self.vars[self.addVar(name)].fanin += 1
            for name in entry.params:
                self.params[self.addParam(name)].fanout += 1
        self.vars[:] = [v for v in self.vars if v.fanin or v.fanout]
        self.params[:] = [p for p in self.params if p.fanout]
        self.vars.reindex()
        self.params.reindex()
        for i, entry in enumerate(self.layers):
            entry.inputIndexes = [self.vars.index[n] for n in entry.inputs]
            entry.outputIndexes = [self.vars.index[n] for n in entry.outputs]
            entry.paramIndexes = [self.params.index[n] for n in entry.params]
            if entry.block.net is self:
                entry.block.layerIndex = i
        self.executionOrder = order

    @contextmanager
    def _change(self, skipRebuild: bool = False) -> Iterator[None]:
        """A change of the graph that is undone as a whole where it is refused."""
        tables: list[Table[Any]] = [self.layers, self.vars, self.params]
        before = [list(table) for table in tables]
        wiring = [] if skipRebuild else [(e, e.inputs, e.outputs, e.params) for e in self.layers]
        try:
            yield
            if not skipRebuild:
                self.rebuild()
        except Exception:
            for table, items in zip(tables, before):
                table[:] = items
                table.reindex()
            for entry, *fields in wiring:
                entry.inputs, entry.outputs, entry.params = fields
            if not skipRebuild:
                self.rebuild()
            raise

    def addVar(self, name: str) -> int:
        """The position of a variable, which is made if it does not exist; for blocks that override attach."""
        if name not in self.vars.index:
            self.vars.append(Var(name))
            self.vars.index[name] = len(self.vars) - 1
        return self.vars.index[name]

    def addParam(self, name: str) -> int:
        """The position of a parameter, which is made if it does not exist."""
        if name not in self.params.index:
            self.params.append(Param(name))
            self.params.index[name] = len(self.params) - 1
        return self.params.index[name]


def _same(param: Param, source: Any) -> bool:
    """Whether a parameter has the value that the one of its name has in another graph, as in a copy of that."""
    other = source.params[param.name].value if param.name in source.params else None
    return other is not None and param.value is not None and np.array_equal(other, param.value)


def copy_block(block: Layer) -> Layer:
    """The block on its own: its properties and state, without the network it is part of."""
    new = copy.copy(block)
    new.__dict__.update({k: copy.deepcopy(v) for k, v in vars(block).items() if k not in ("net", "layerIndex")})
    new.net = new.layerIndex = None
    return new
