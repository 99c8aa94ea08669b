"""cnn_train: training of a SimpleNN."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pyconvnet import backends
from pyconvnet.arrays import asynchronous, host_numbers, isfinite, later, size_4d
from pyconvnet.arrays import count as elements
from pyconvnet.display import vl_simplenn_display
from pyconvnet.engine.run import after_backward
from pyconvnet.engine.step import Step
from pyconvnet.layers import Loss, layer_class
from pyconvnet.layers.custom import Custom
from pyconvnet.networks import is_graph
from pyconvnet.records import Struct
from pyconvnet.simplenn import SimpleNN, vl_simplenn
from pyconvnet.text import visible
from pyconvnet.training import distributed, losses
from pyconvnet.training import labels as class_labels
from pyconvnet.training.adapter import Parameter, Ready
from pyconvnet.training.loop import on_device, train
from pyconvnet.training.options import SIMPLENN, read_options


def cnn_train(net: Any, imdb: Any, getBatch: Callable[..., Any], *args: Any, **options: Any) -> tuple[SimpleNN, Struct]:
    """Train a SimpleNN by gradient descent: cnn_train(net, imdb, getBatch, batchSize=100, ...) -> (net, stats).

    net       ends in a loss layer ('softmaxloss', or 'loss' with the field loss='logistic' and so on: see dagnn.Loss);
              it is not changed, the trained copy is returned
    imdb      a dict: images.set marks each image 1 (train) or 2 (validate); anything else is for getBatch
    getBatch  getBatch(imdb, batch) -> (images H x W x C x N, labels); `batch` holds 0-based image indexes. Labels of
              classes, N or H x W x 1 x N, may have a second channel of weights: 1 x 1 x 2 x N, H x W x 2 x N
    stats     stats["train"][epoch]["objective"], ["top1err"], ["top5err"], ["num"], ["time"], likewise stats["val"]

    Options, as keywords or MATLAB's 'name', value pairs, with MatConvNet's defaults:

    expDir            "data/exp"; None writes nothing
    continue          True (as a keyword: continue_); False starts over; "force": see below
    numEpochs         300
    batchSize         256 images
    numSubBatches     1: parts of a batch that are computed one after the other, for less memory
    train, val        0-based indexes of images; NaN for none; else those that images.set marks 1 and 2
    epochSize         inf: how many images an epoch trains on at most
    learningRate      0.001, or one for each epoch, of which the last stays
    weightDecay       0.0005
    momentum          0.9
    nesterovUpdate    False
    solver            None or "sgd"; adam, adagrad, adadelta, rmsprop or a function: see pyconvnet.solver
    solverOpts        its options
    saveSolverState   True; False: no state of the solver in checkpoints, it starts anew in each epoch
    randomSeed        0: epoch e starts the generator from e + randomSeed
    backPropDepth     inf: how many layers, from the last, are trained
    errorFunction     "multiclass" (top1err, top5err), "binary", "none", or f(opts, labels, res) -> sums
    errorLabels       names of the errors, as many as the function returns
    gpus              (); 0 or [0]: the first GPU that PyTorch finds; [0, 1]: two, each with a process; "cuda:1",
                      "mps" ...: see pyconvnet.devices
    prefetch          False; True calls getBatch for the next batch while this one is computed
    conserveMemory    True: results are forgotten once they are not needed
    plotStatistics    True: net-train.pdf
    plotDiagnostics   False; True: net-diagnostics.pdf, see view.diagnosis
    postEpochFn       f(net, opts, state) -> None, a new learning rate, or 0 to stop (called in each of several
                      processes, of which process 0 decides); a run that goes on keeps that rate. opts: these
                      options, learningRate that of the epoch, and epoch, imdb, getBatch; train and val are indexes.
                      state: solverState; stats.train, stats.val with the epoch's objective, errors, num and time
    profile, sync     accepted, without effect
    cudnn             likewise

    Beyond MatConvNet:

    shuffle       True; False keeps the given order
    rng           "numpy"; "matlab" draws orders and dropout as MATLAB does on the CPU, with compat.matlab.rand and
                  its like in getBatch
    evalSets      {"name": indexes}: further sets, evaluated after each epoch
    stopOnNaN     True
    checkLabels   True
    processes     None; 2: train in two new processes on this machine
    progress      False; True: a tqdm bar
    verbose       True: MatConvNet's lines on the console

    With gpus the network and the images of batches are moved to that device; statistics are read from it one batch
    late, and so a batch whose objective is not finite is told after the step that it took. With prefetch batches are
    copied there while the one before is in use. Checkpoints are the same files, a run goes on from them on any device,
    and the network returned is on the CPU.

    Moments of a bnorm layer move after each batch by the third number of its learningRate, whatever that of the option:
    moments <- (1 - r) moments + r (those of the batch). Without one r is 1, as in MatConvNet, and they are those of the
    last batch; in a DagNN r is 0.1.

    Several processes, of torchrun or started by processes=n or gpus=[0, 1], train as MatConvNet's labs do: each takes
    every n-th image of a batch, derivatives and statistics are summed, and the weights are those of one process, to
    rounding. Batch normalisation sees the images of its own process, as if numSubBatches were n times as large; what
    its moments move by is the mean over the processes. Process 0 prints and writes; all return the same. The masks of
    dropout and the changes of pyconvnet.jitter are drawn for each image; what getBatch draws by itself differs between
    processes.

    After each epoch expDir/net-epoch-N.mat (net, state, stats; readable by MATLAB) and expDir/net-train.pdf are
    written, and a later call with the same expDir goes on from the last of them, to the weights of an unbroken run.
    A checkpoint of another run is refused: of a network with other layers, names, sizes or settings, of another solver,
    of other classes or labels (training.json beside it knows), or that was trained on images now to be validated on.
    More epochs, another learningRate, batchSize or the like, and new images at the end of the imdb are a continuation.
    continue_="force" goes on all the same, with the network of the checkpoint, the solver starting anew if it is
    another; rates and factors of layers (dropout's rate, learningRate) are the checkpoint's, with a warning.

    Ctrl-C ends the run after the batch by KeyboardInterrupt, whose text says where, and how to go on; a second one ends
    it at once. The epoch that was not finished begins anew when the run goes on. In a thread, or where a program has a
    handler of its own for SIGINT, nothing is done about it.

    Losses are means over the images of a batch, as in MatConvNet's git master since December 2017; its release
    1.0-beta25 sums them. Steps and statistics of cnn_train are the same in both. Where code for that release uses the
    loss or its derivative itself: vl_nnloss(..., normalise=False), dagnn.Loss(normalise=False).

    The step, for weights w with derivative g, of which each layer may scale rate and decay by its own factors:
    m <- momentum m - (weightDecay w + g / batch)        w <- w + learningRate m

    Raises ValueError for options, labels and images that cannot be right, FloatingPointError when the objective is not
    finite, RuntimeError where another process trains in expDir (by name), OSError where a file cannot be written.
    Source: MatConvNet, examples/cnn_train.m; manual, section 3.3 "Learning models"; Krizhevsky et al. 2012.
    """
    if is_graph(net):
        raise TypeError("cnn_train: net must be a SimpleNN, got a DagNN; cnn_train_dag trains that")
    opts = read_options("cnn_train", SIMPLENN, args, options)
    if distributed.to_start(opts):
        return distributed.started("cnn_train", opts, cnn_train, (net, imdb, getBatch, *args), options)
    opts["gpus"] = distributed.own_devices(opts["gpus"])
    adapter = SimpleNNAdapter(net, imdb, opts)
    if opts["verbose"] and not opts["progress"] and distributed.placed()[0] == 0:
        print(vl_simplenn_display(adapter.net, batchSize=opts["batchSize"])[1])
    with on_device("cnn_train", adapter, opts) as transfer:
        stats = train("cnn_train", adapter, imdb, getBatch, opts, transfer)
    return adapter.net, stats


def _telling(ready: Ready) -> Callable[[Step], None]:
    def done(step: Step) -> None:
        for j, weight in reversed([*enumerate(step.params)]):
            ready((step.entry.at, j), weight.der)

    return done


class SimpleNNAdapter:
    """A SimpleNN under training."""

    def __init__(self, net: Any, imdb: Any, opts: Struct) -> None:
        from pyconvnet.compat.tidy import vl_simplenn_tidy

        self.opts, self.known = opts, class_labels.of_imdb(imdb)
        self.net = vl_simplenn_tidy(copy.deepcopy(net))
        if len(self.net.layers) < 2:
            raise ValueError(
                f"cnn_train: the network has {len(self.net.layers)} layers; it must have at least 2, a loss last"
            )
        self.net.layers[-2].precious = True
        for layer in self.net.layers:
            count = len(layer.get("weights") or ())
            for rate in ("learningRate", "weightDecay"):
                if np.size(layer.get(rate, ())) == 0:
                    layer[rate] = np.ones((1, count))
        error, names = opts["errorFunction"], opts["errorLabels"]
        names = (names,) if isinstance(names, str) else tuple(names if np.size(names) else ())
        if isinstance(error, str):
            if error not in class_labels.ERRORS:
                known = ", ".join(class_labels.ERRORS)
                raise ValueError(f"cnn_train: unknown errorFunction {error!r}; there are {known}, or give a function")
            error, usual = class_labels.ERRORS[error]
            names = names or usual
        if not callable(error):
            raise TypeError(f"cnn_train: errorFunction must be a name or a function, got {type(error).__name__}")
        self.error, self.names = error, names
        self.res: Any = None
        self.doubted = self.late = False
        self.start_set()

    def start_set(self) -> None:
        self.sums: Any = 0.0
        self._confusion = class_labels.Confusion()

    def evaluate(
        self, batch: Any, count: int, train: bool, first: bool, last: bool, ready: Ready | None = None
    ) -> None:
        if not isinstance(batch, (tuple, list)) or len(batch) != 2:
            raise TypeError(f"cnn_train: getBatch must return (images, labels), got {type(batch).__name__}")
        images, labels = batch
        if backends.find(images) is None:
            raise TypeError(f"cnn_train: getBatch must return images as an array, got {type(images).__name__}")
        self.batch = images
        # Sums over images add up where there are sub-batches; a loss gives the mean.
        last_layer = self.net.layers[-1]
        if train:
            self._require_loss(last_layer)
        last_layer["class"] = labels
        loss = layer_class(last_layer.type).from_record(last_layer)
        weight = float(count) if loss.averages else 1.0
        with after_backward(_telling(ready) if train and ready is not None else None):
            self.res = vl_simplenn(
                self.net,
                images,
                weight if train else None,
                self.res if train and not first else None,
                mode="normal" if train else "test",
                accumulate=not first,
                conserveMemory=self.opts["conserveMemory"],
                backPropDepth=self.opts["backPropDepth"],
                inputDer=False,
            )
        if self.doubted:
            inputs = [self.res[-2].x, *(last_layer.get(f) for f in loss.simplenn_inputs)]
            losses.refuse_sum("cnn_train", loss, inputs, last_layer.get("weights") or [], self.res[-1].x)
            self.doubted = False
        errors, loss = self.error(self.opts, labels, self.res), self.res[-1].x
        self.late = asynchronous(loss)
        if self.late and backends.find(errors) is backends.of(loss):
            backend = backends.of(loss)
            total = backend.sum(loss, tuple(range(loss.ndim))).reshape(1) * weight
            self.sums = backend.concat([total, errors], 0) + self.sums
        else:
            errors = np.ravel(np.asarray(host_numbers(errors), float))
            self.sums = np.array([weight * host_numbers(loss).sum(dtype=float), *errors]) + host_numbers(self.sums)
        if not train and self.error is class_labels.multiclass:
            self._confusion.add(labels, self.res[-2].x)

    @property
    def confusion(self) -> np.ndarray | None:
        return self._confusion.counts()

    def placed(self, batch: Any, change: Callable[[Any], Any]) -> Any:
        if not isinstance(batch, (tuple, list)) or len(batch) != 2:
            return batch
        return change(batch[0]), batch[1]

    def read(self) -> Callable[[], Any]:
        return later(self.sums)

    @staticmethod
    def _require_loss(layer: Any) -> None:
        kind = layer_class(layer.type)
        ours = kind._built_in and not issubclass(kind, Custom)
        if ours and not issubclass(kind, Loss):
            raise ValueError(
                f"cnn_train: the last layer {layer.get('name', '')!r} ({visible(layer.type)}) is not a loss; "
                "training needs one last, such as 'softmaxloss'"
            )

    def totals(self, values: Any, num: int) -> list[np.ndarray]:
        return [np.atleast_1d(values)]

    def statistics(self, values: Any, num: int, totals: list[np.ndarray] | None) -> Struct:
        mean = (values if totals is None else totals[0]) / num
        if len(self.names) > mean.size - 1:
            raise ValueError(
                f"cnn_train: errorLabels names {len(self.names)} errors, the function gave {mean.size - 1}"
            )
        return Struct(zip(("objective", *self.names), map(float, mean)))

    def parameters(self) -> Iterator[Parameter]:
        for i in reversed(range(len(self.net.layers))):
            layer, weights = self.net.layers[i], self.net.layers[i].get("weights") or []
            ders = self.res[i].dzdw if self.res else []
            averaged = layer_class(layer.type).averaged
            rates, decays = np.ravel(layer.learningRate), np.ravel(layer.weightDecay)
            for j in reversed(range(len(weights))):
                yield Parameter(
                    (i, j),
                    weights[j],
                    ders[j] if j < len(ders) and ders[j] is not None and elements(ders[j]) else None,
                    float(rates[j]) if j < rates.size else 1.0,
                    float(decays[j]) if j < decays.size else 1.0,
                    "average" if j in averaged else "gradient",
                    partial(weights.__setitem__, j),
                )

    def weights(self) -> list[Any]:
        return [list(layer.get("weights") or ()) for layer in self.net.layers]

    def check(self, batch: Any, train: bool) -> None:
        if isinstance(batch, (tuple, list)) and batch:
            self._check_precision(batch[0])
        self.doubted = train
        if not (train and self.opts["checkLabels"]):
            return
        if self.error is not class_labels.multiclass or not isinstance(batch, (tuple, list)) or len(batch) != 2:
            return
        if backends.find(batch[0]) is None:
            return
        loss = layer_class(self.net.layers[-1].type).from_record(self.net.layers[-1]).effective_options().get("loss")
        if class_labels.is_binary(loss):
            raise ValueError(
                f"cnn_train: the loss {loss!r} has labels +1 and -1, whose errors errorFunction='multiclass' "
                "cannot count: errorFunction='binary' does, 'none' counts nothing"
            )
        class_labels.check("cnn_train", batch[1], batch[0], self._classes(batch[0]), self.known)

    def images(self, batch: Any) -> list[Any]:
        return [self.batch]

    def _check_precision(self, images: Any) -> None:
        for i, layer in enumerate(self.net.layers):
            if not layer_class(layer.type)._built_in:
                return  # a layer of the user's own may accept or give any precision
            if layer.get("weights"):
                where = f"layer {i + 1} {layer.get('name', '')!r}"
                return class_labels.check_precision("cnn_train", "images", images, where, layer.weights[0])

    def _classes(self, images: np.ndarray) -> int | None:
        size = size_4d(images.shape)
        for layer in self.net.layers[:-1]:
            size = layer_class(layer.type).from_record(layer).getOutputSizes([size])[0]
        return class_labels.classes_of(size)

    def diagnose(self, path: Path) -> None:
        from pyconvnet import view

        view.save(view.diagnosis(self.net, self.res), path)

    def finite(self, values: Any) -> bool:
        return bool(np.isfinite(values[0]))

    def locate_nonfinite(self) -> str:
        if not isfinite(self.batch):
            return "the images of the batch are not finite"
        for i, layer in enumerate(self.net.layers, 1):
            if not all(isfinite(w) for w in layer.get("weights") or ()):
                return f"weights of layer {i} {layer.get('name', '')!r} ({visible(layer.type)}) are not finite"
        with np.errstate(all="ignore"):
            res = vl_simplenn(self.net, self.batch, mode="test")
        for i, layer in enumerate(self.net.layers, 1):
            if not isfinite(res[i].x):
                where = f"layer {i} {layer.get('name', '')!r} ({visible(layer.type)})"
                return f"the first value that is not finite came out of {where}"
        return "every layer's output is finite in test mode"
