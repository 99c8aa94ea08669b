"""ONNX files: to_onnx writes networks, from_onnx reads them, compare_onnx runs both. Needs the package onnx."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from pyconvnet import atomic
from pyconvnet.formats.onnx.library import require
from pyconvnet.formats.registry import naming
from pyconvnet.records import Struct
from pyconvnet.values import path_text

if TYPE_CHECKING:
    from onnx import ModelProto


def to_onnx(
    net: Any,
    path: str | os.PathLike[str] | None = None,
    inputSize: Any = None,
    *,
    preprocess: bool = False,
    opset: int = 17,
) -> ModelProto:
    """
    to_onnx(net, "net.onnx") -> model       net: a SimpleNN or DagNN      model: an onnx.ModelProto, also in the file
    to_onnx(net) -> model                   no file is written

    The network in test mode as predict runs it: without its losses, a softmaxloss becomes softmax, dropout goes. What
    is H x W x C x N in MatConvNet is N x C x H x W there, in single precision. Inputs and outputs have the names of the
    graph's variables; of a SimpleNN the input is called "input", and what a layer gives has the layer's name.

    inputSize   (H, W, C), or of several inputs a dict of these. Left out, the batch, height and width are free, unless
                a layer needs one size; then it is that of net.meta
    preprocess  True: the network takes images of 0..255 and subtracts the average image itself; resizing stays outside
    opset       17; the version of ONNX's operators, 13 to 23

    net.meta (classes, normalization ...) is in the file's metadata, as JSON. Local response normalization is the exact
    one, which set_precision("high") gives here. A class of your own is written once pyconvnet.formats.onnx.writes knows
    how.

    Raises ValueError that lists every layer which ONNX cannot say, with its reason; ImportError without onnx.
    """
    require("to_onnx")
    path = None if path is None else path_text("to_onnx: path", path)
    from pyconvnet.formats.onnx.exporter import model_of

    model = model_of(net, inputSize, preprocess, opset)
    if path is not None:
        atomic.write(path, model.SerializeToString())
    return model


def writes(cls: type) -> Any:
    """Enter a function as the one that writes the nodes of a layer class; see formats.onnx.export_table."""
    require("writes")
    # those of the library first, so that a function for one of its classes stays
    from pyconvnet.formats.onnx import export_layers, export_normalization, export_table  # noqa: F401

    return export_table.writes(cls)


def write(path: str | os.PathLike[str], net: Any) -> None:
    """What pyconvnet.save calls."""
    to_onnx(net, path)


def from_onnx(path: Any, inputSize: Any = None, *, outputs: Any = None) -> Any:
    """
    from_onnx("net.onnx") -> net            net: a SimpleNN where the graph is a chain, else a DagNN in test mode
    from_onnx(model) -> net                 model: an onnx.ModelProto

    Variables have the names of the file's tensors, layers those of its nodes, parameters those of its initializers.
    Images N x C x H x W become H x W x C x N, vectors N x C 1 x 1 x C x N; an output that the file reshapes keeps its
    H x W x C, and so do images that a file takes as N x H x W x C. save(path, net) writes a `.mat` file of it; of its
    layers MatConvNet itself has no Clip, ELU, HardSigmoid, NoiseMap, Permute, PReLU, Reshape, SoftPlus, SubP, Swish and
    Tanh.

    inputSize   (H, W, C), or of several inputs a dict of these, where the file leaves height and width free and a layer
                needs them
    outputs     names of tensors at which to stop, in place of the outputs of the graph

    Nothing in a file is executed. External data is taken from the folder of the file only, which the onnx package
    checks.

    Raises ValueError that lists every node for which there is no layer, with its reason, and for a broken file;
    ImportError without onnx.
    """
    require("from_onnx")
    from pyconvnet.formats.onnx.importer import network_of_file, network_of_model

    if not isinstance(path, (str, os.PathLike)) and not hasattr(path, "graph"):
        raise TypeError(f"from_onnx: path must be a path or an onnx.ModelProto, got {type(path).__name__}")
    read_it = network_of_file if isinstance(path, (str, os.PathLike)) else network_of_model
    return read_it(path, inputSize, outputs)


def read(path: str | os.PathLike[str]) -> Any:
    """What pyconvnet.load calls."""
    return from_onnx(path)


def run(path: str | os.PathLike[str], x: Any) -> Any:
    """The output for x, H x W x C x N, in onnxruntime: what `pyconvnet convert --check` compares."""
    session = require("run", "onnxruntime").InferenceSession(os.fspath(path), providers=["CPUExecutionProvider"])
    y = session.run(None, {session.get_inputs()[0].name: x.transpose(3, 2, 0, 1).astype("float32")})[0]
    return y.reshape((*y.shape, 1, 1)[:4]).transpose(2, 3, 1, 0)


def check_run(fn: str) -> None:
    """ImportError where onnxruntime is not installed, which `run` needs."""
    require(fn, "onnxruntime")


def compare_onnx(net: Any, path: Any, x: Any) -> list[Struct]:
    """
    compare_onnx(net, "net.onnx", x) -> rows    x: H x W x C x N, or a dict of inputs by name
    compare_onnx(net, model, x) -> rows         model: an onnx.ModelProto

    Runs the network here and the file in onnxruntime, and prints how far each variable that both have is off: the
    largest difference as a part of the largest value. The last line has the worst. The network is run with the exact
    powers of set_precision("high").

    rows are Struct(name, type, size, difference), in the order in which they are computed.

    Raises ValueError where nothing can be compared, ImportError without onnx or onnxruntime.
    """
    require("compare_onnx")
    require("compare_onnx", "onnxruntime")
    from pyconvnet.formats.onnx.compare import compared, text
    from pyconvnet.formats.onnx.importer import loaded

    model = path
    if isinstance(path, (str, os.PathLike)):
        with naming(path):
            model = loaded(path)
    if not hasattr(model, "graph") or isinstance(model, dict):
        raise TypeError(f"compare_onnx: path must be a path or an onnx.ModelProto, got {type(path).__name__}")
    rows = compared(net, model, x)
    print(text(rows), end="")
    return rows
