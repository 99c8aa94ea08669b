"""cnn_train_dag: training of a DagNN."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pyconvnet.arrays import asynchronous, is_empty, isfinite, later, shape_of
from pyconvnet.dagnn import evaluate
from pyconvnet.dagnn.parts import pairs
from pyconvnet.engine.run import after_backward
from pyconvnet.engine.step import Step
from pyconvnet.layers import Loss, Sum
from pyconvnet.networks import is_graph
from pyconvnet.ops.vl_nnloss import is_categorical
from pyconvnet.records import Struct
from pyconvnet.training import distributed, losses
from pyconvnet.training import labels as class_labels
from pyconvnet.training.adapter import Parameter, Ready
from pyconvnet.training.loop import on_device, train
from pyconvnet.training.options import DAGNN, read_options
from pyconvnet.training.statistics import as_number


def cnn_train_dag(net: Any, imdb: Any, getBatch: Callable[..., Any], *args: Any, **options: Any) -> tuple[Any, Struct]:
    """Train a DagNN: cnn_train_dag(net, imdb, getBatch, derOutputs={"objective": 1}, ...) -> (net, stats).

    net       is trained in place, as MATLAB's handle is, and returned (after resuming: the one from the checkpoint)
    getBatch  getBatch(imdb, batch) -> {"input": images, "label": labels}, or MATLAB's
              ['input', images, 'label', labels]
    stats     stats["train"][epoch] has "num", "time" and the running average of each Loss by its output's name

    Options: those of cnn_train except backPropDepth, errorFunction and errorLabels; and

    derOutputs       {"objective": 1}: the outputs to descend, each with its weight
    extractStatsFn   f(stats, net) -> stats, reported instead of the losses' averages

    What postEpochFn gets as state.stats.train and state.stats.val are the statistics of the epoch, as in stats.

    Checkpoints, when they are refused, and Ctrl-C, after which net has the weights of the last batch, are as with
    cnn_train.

    Losses are means over the images of a batch, as in MatConvNet's git master since December 2017 (1.0-beta25 sums
    them); steps and statistics are the same in both. A Loss of your own that sums, as written for 1.0-beta25, says
    `averages = False`; one that inherits averages = True and sums is refused at the first batch.

    Raises TypeError for a net that is not a DagNN, and as cnn_train does.
    Source: MatConvNet, examples/cnn_train_dag.m.
    """
    if not is_graph(net):
        raise TypeError(f"cnn_train_dag: net must be a DagNN, got {type(net).__name__}; cnn_train trains a SimpleNN")
    opts = read_options("cnn_train_dag", DAGNN, args, options)
    if distributed.to_start(opts):
        trained, stats = distributed.started(
            "cnn_train_dag", opts, cnn_train_dag, (net, imdb, getBatch, *args), options
        )
        for param, result in zip(net.params, trained.params):
            param.value = result.value
        return trained, stats
    opts["gpus"] = distributed.own_devices(opts["gpus"])
    if isinstance(opts["derOutputs"], (list, tuple)):
        flat = list(opts["derOutputs"])
        if len(flat) % 2 or not all(isinstance(name, str) for name in flat[::2]):
            raise ValueError(f"cnn_train_dag: derOutputs must be names, each with its weight, got {flat!r}")
        opts["derOutputs"] = dict(zip(flat[::2], flat[1::2]))
    if is_empty(opts["derOutputs"]):
        opts["derOutputs"] = {}
    if not isinstance(opts["derOutputs"], dict):
        kind = type(opts["derOutputs"]).__name__
        raise TypeError(f"cnn_train_dag: derOutputs must be a dict such as {{'objective': 1}}, got {kind}")
    if not opts["derOutputs"] and not _none(opts["train"]):
        raise ValueError("cnn_train_dag: derOutputs must have at least one output to descend, such as {'objective': 1}")
    adapter = DagNNAdapter(net, imdb, opts)
    with on_device("cnn_train_dag", adapter, opts) as transfer:
        stats = train("cnn_train_dag", adapter, imdb, getBatch, opts, transfer)
    return adapter.net, stats


def _none(train: Any) -> bool:
    return np.size(train) == 1 and train is not None and bool(np.isnan(np.ravel(np.asarray(train, float))[0]))


def _named(batch: Any) -> dict[str, Any]:
    if not isinstance(batch, dict) and not (isinstance(batch, (list, tuple)) and batch and isinstance(batch[0], str)):
        raise TypeError(
            "cnn_train_dag: getBatch must return {'input': images, 'label': labels} or ['input', images, 'label', "
            f"labels], got a {type(batch).__name__} without names"
        )
    return dict(pairs("cnn_train_dag", "the batch", batch))


def _losses(net: Any) -> dict[str, list[Any]]:
    """For each variable, the layers whose outputs add up in it over the batch: losses, and other terms of a Sum."""
    found: dict[str, list[Any]] = {}
    writer = {name: layer for layer in net.layers for name in layer.outputs}
    for at in net.executionOrder:
        layer = net.layers[at]
        if layer.block.averages or isinstance(layer.block, Loss):
            mine = [layer]
        else:
            mine = list({x.name: x for name in layer.inputs for x in found.get(name, ())}.values())
            if mine and isinstance(layer.block, Sum):
                mine += [writer[name] for name in layer.inputs if name in writer and not found[name]]
        found.update(dict.fromkeys(layer.outputs, mine))
    return found


class DagNNAdapter:
    """A DagNN under training."""

    def __init__(self, net: Any, imdb: Any, opts: Struct) -> None:
        self.net, self.opts, self.known = net, opts, class_labels.of_imdb(imdb)
        self.late = False
        self._labels: set[str] | None = None

    def start_set(self) -> None:
        self.net.reset()
        self._confusion = class_labels.Confusion()

    def evaluate(
        self, batch: Any, count: int, train: bool, first: bool, last: bool, ready: Ready | None = None
    ) -> None:
        net = self.net
        _named(batch)
        net.conserveMemory = self.opts["conserveMemory"]
        if train:
            net.mode = "normal"
            net.accumulateParamDers = not first
            net.holdOn = not last
            before, net.inputDers = net.inputDers, False
            try:
                with after_backward(None if ready is None else self._telling(ready)):
                    self._descend(batch, count)
            finally:
                net.inputDers = before
        else:
            net.mode = "test"
            scores, labels = self._judged(batch)
            if scores is None:
                net.eval(batch)
                return
            var = net.vars[scores]
            precious, var.precious = var.precious, True
            net.eval(batch)
            var.precious = precious
            self._confusion.add(labels, var.value)

    @property
    def confusion(self) -> np.ndarray | None:
        return self._confusion.counts()

    def placed(self, batch: Any, change: Callable[[Any], Any]) -> Any:
        if self._labels is None:  # inputs that a loss compares with others: read where they are given, not moved
            losses = [layer for layer in self.net.layers if isinstance(layer.block, Loss)]
            read = {name for x in self.net.layers for name in (x.inputs[:1] if x in losses else x.inputs)}
            self._labels = {name for x in losses for name in x.inputs[1:]} - read
        given = _named(batch)
        return {name: value if name in self._labels else change(value) for name, value in given.items()}

    def _counting(self) -> list[Any]:
        """The layers whose averages are statistics."""
        return [x for x in self.net.layers if isinstance(x.block, Loss) and not x.block.ignoreAverage]

    def read(self) -> Callable[[], Any]:
        averages = {layer.outputs[0]: later(layer.block.average) for layer in self._counting()}
        wanted = [v for name in self.opts["derOutputs"] if (v := self.net.vars[name].value) is not None]
        self.late = self.opts["extractStatsFn"] is None and any(map(asynchronous, wanted))
        objectives = [later(v) for v in wanted]

        def values() -> tuple[Any, ...]:
            return {name: read() for name, read in averages.items()}, [read() for read in objectives]

        return values

    def _telling(self, ready: Ready) -> Callable[[Step], None]:
        """Calls ready once the last of the layers that share a parameter has added its derivative."""
        waiting = Counter(name for layer in self.net.layers for name in layer.params)

        def done(step: Step) -> None:
            for param in step.params:
                waiting[param.name] -= 1
                if not waiting[param.name]:
                    ready((self.net.params.index[param.name],), param.der)

        return done

    def _descend(self, batch: Any, count: int) -> None:
        """Evaluate with derivatives that are sums over the images: those add up where there are sub-batches.

        A loss that gives the mean over its images counts `count` times, also where it reaches an output by way of other
        layers (a Sum of losses).
        """
        net, wanted = self.net, self.opts["derOutputs"]
        losses_of = _losses(net)
        of = {name: losses_of.get(name, []) for name in wanted}
        if all(len({bool(layer.block.averages) for layer in losses}) <= 1 for losses in of.values()):
            means = {name for name, losses in of.items() if losses and losses[0].block.averages}
            net.eval(batch, {name: weight * count if name in means else weight for name, weight in wanted.items()})
            return
        # means and sums meet on the way to one output
        factors: dict[Any, float] = {
            net.vars[name]: count
            for losses in of.values()
            for layer in losses
            if layer.block.averages
            for name in layer.outputs
        }
        evaluate.run(net, batch, wanted, factors)

    def _judged(self, batch: Any) -> tuple[str | None, Any]:
        """The variable of the scores and the labels that the graph's losses of classes compare, if they agree on it."""
        given = batch if isinstance(batch, dict) else dict(zip(batch[::2], batch[1::2]))
        losses = [layer for layer in self.net.layers if isinstance(layer.block, Loss)]
        named = [(x.block.effective_options().get("loss"), tuple(x.inputs[:2])) for x in losses]
        pairs = {inputs for loss, inputs in named if loss == "classerror"}
        pairs = pairs or {inputs for loss, inputs in named if loss in ("softmaxlog", "log")}
        scores, labels = pairs.pop() if len(pairs) == 1 else (None, None)
        return (scores, given[labels]) if labels in given else (None, None)

    def totals(self, values: Any, num: int) -> list[np.ndarray]:
        # for each loss: of how many images its average is, and the averages times that
        found = []
        for layer in self._counting():
            # a class with statistics of its own may count nothing
            of = float(layer.block.numAveraged or num)
            average = np.asarray(values[0][layer.outputs[0]], float)
            found.append(np.append(of, of * np.ravel(average)))
        return found

    def statistics(self, values: Any, num: int, totals: list[np.ndarray] | None) -> Struct:
        averages, extract = values[0], self.opts["extractStatsFn"]
        if totals is not None:
            averages = {name: np.array(sums) / of for name, (of, *sums) in zip(averages, totals)}
        averages = {name: as_number(average) for name, average in averages.items()}
        if extract is None:
            return Struct(averages)
        blocks = [layer.block for layer in self._counting()]
        own = [(block.average, block.numAveraged) for block in blocks]
        # what the user's function reads in the blocks is of all processes
        for block, average, (of, *_) in zip(blocks, averages.values(), totals or ()):
            block.average, block.numAveraged = average, of
        try:
            extracted = extract(Struct(num=num), self.net)
            if not isinstance(extracted, dict):
                kind = type(extracted).__name__
                raise TypeError(f"cnn_train_dag: extractStatsFn must return the statistics as a dict, got {kind}")
            return Struct(extracted)
        finally:
            for block, (average, of) in zip(blocks, own):
                block.average, block.numAveraged = average, of

    def parameters(self) -> Iterator[Parameter]:
        for i, p in reversed([*enumerate(self.net.params)]):
            if p.value is None:
                continue
            if p.der is not None and p.trainMethod not in ("gradient", "average"):
                raise ValueError(f"cnn_train_dag: parameter {p.name!r} has trainMethod {p.trainMethod!r}")
            yield Parameter(
                (i,),
                p.value,
                p.der,
                float(np.asarray(p.learningRate).item()),
                float(np.asarray(p.weightDecay).item()),
                p.trainMethod,
                partial(setattr, p, "value"),
                p.fanout,
            )

    def weights(self) -> list[Any]:
        return [p.value for p in self.net.params]

    def images(self, batch: Any) -> list[Any]:
        given = _named(batch)
        read = dict.fromkeys(layer.inputs[0] for layer in self.net.layers if layer.params and layer.inputs)
        return [given[name] for name in read if name in given]

    def check(self, batch: Any, train: bool) -> None:
        given = _named(batch)
        for layer in self.net.layers:
            first = given.get(layer.inputs[0]) if layer.inputs else None
            if layer.params and layer.block._built_in:
                weights = self.net.params[layer.params[0]].value
                class_labels.check_precision("cnn_train_dag", "images", first, f"layer {layer.name!r}", weights)
            if train:
                losses.watch("cnn_train_dag", layer.block)
        if not (train and self.opts["checkLabels"]):
            return
        try:
            sizes = self.net.getVarSizes({name: shape_of(value) for name, value in given.items()})
        except (ValueError, TypeError, NotImplementedError):
            return  # errors, and sizes that cannot be told ahead, show when the graph runs
        for layer in self.net.layers:
            if type(layer.block) is not Loss or not is_categorical(layer.block.effective_options()["loss"]):
                continue
            scores, target = layer.inputs[:2]
            if target in given:
                classes = class_labels.classes_of(sizes[self.net.getVarIndex(scores)])
                class_labels.check_values("cnn_train_dag", given[target], classes, self.known)

    def diagnose(self, path: Path) -> None:
        from pyconvnet import view

        view.save(view.diagnosis(self.net), path)

    def finite(self, values: Any) -> bool:
        return all(map(isfinite, values[1]))

    def locate_nonfinite(self) -> str:
        for name in self.net.getInputs():
            value = self.net.vars[name].value
            if value is not None and not isfinite(value):
                return f"variable {name!r}, an input, is not finite"
        for p in self.net.params:
            if not isfinite(p.value):
                return f"parameter {p.name!r} is not finite"
        for layer in self.net.layers:
            for name in layer.outputs:
                value = self.net.vars[name].value
                if value is not None and not isfinite(value):
                    return f"variable {name!r}, an output of layer {layer.name!r}, is not finite"
        return "every variable still held is finite"
