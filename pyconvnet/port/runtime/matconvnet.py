"""What MatConvNet's functions do with MATLAB's counting: batches, image sets and positions in a DagNN from 1."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

import pyconvnet as pcn
from pyconvnet.port.runtime.values import matrix, row
from pyconvnet.records import Struct, StructArray


def cnn_train(net: Any, imdb: Any, getBatch: Callable[..., Any], *options: Any, **named: Any) -> tuple[Any, Struct]:
    """pyconvnet.cnn_train for ported code: getBatch gets images as a row of numbers from 1; train and val have such."""
    return _trained(pcn.cnn_train, net, imdb, getBatch, options, named)


def cnn_train_dag(net: Any, imdb: Any, getBatch: Callable[..., Any], *options: Any, **named: Any) -> tuple[Any, Struct]:
    """pyconvnet.cnn_train_dag for ported code, as cnn_train."""
    return _trained(pcn.cnn_train_dag, net, imdb, getBatch, options, named)


def _trained(train: Any, net: Any, imdb: Any, getBatch: Any, options: Any, named: dict[str, Any]) -> tuple[Any, Struct]:
    flat = [item for o in options for item in ([v for pair in o.items() for v in pair] if isinstance(o, dict) else [o])]
    flat += [item for pair in named.items() for item in pair]
    given: list[Any] = []
    for name, item in zip(flat[::2], flat[1::2]):
        low = name.lower()
        if low in ("train", "val") and np.size(item) and not np.any(np.isnan(np.asarray(item, float))):
            item = np.asarray(item) if np.asarray(item).dtype == bool else np.ravel(matrix(item)).astype(int) - 1
        elif low == "gpus" and np.size(item):
            print(f"{train.__name__}: gpus is left out, training runs on the CPU", file=sys.stderr)
            continue
        elif low == "learningrate":
            item = np.ravel(matrix(item))
        elif low == "extractstatsfn" and callable(item):
            item = _handing_over(item)
        given += [name, item]

    def batches(images: Any, batch: Any) -> Any:
        return getBatch(images, np.asarray(batch, float).reshape(1, -1) + 1)

    net, stats = train(net, imdb, batches, *given)
    return net, Struct({name: StructArray(v) if isinstance(v, list) else v for name, v in stats.items()})


def _handing_over(extract: Any) -> Any:
    return lambda stats, net, *_: extract(stats, net)


def vl_simplenn(*arguments: Any, **options: Any) -> StructArray:
    """pyconvnet.vl_simplenn, whose results are a struct array in MATLAB: res(end).x."""
    return StructArray(pcn.vl_simplenn(*arguments, **options))


def one_based(positions: Any) -> Any:
    """Positions of pyconvnet, from 0, as MATLAB counts them."""
    if isinstance(positions, (list, tuple, np.ndarray)):
        return row(*(p + 1.0 for p in positions))
    return positions + 1


def _index(find: Callable[[Any], Any], name: Any) -> Any:
    return one_based(find(list(name) if isinstance(name, (list, tuple)) else name))


def getVarIndex(net: Any, name: Any) -> Any:
    """Position of a variable, from 1; NaN where there is none."""
    return _index(net.getVarIndex, name)


def getParamIndex(net: Any, name: Any) -> Any:
    """Position of a parameter, from 1; NaN where there is none."""
    return _index(net.getParamIndex, name)


def getLayerIndex(net: Any, name: Any) -> Any:
    """Position of a layer, from 1; NaN where there is none."""
    return _index(net.getLayerIndex, name)


def move(net: Any, device: str) -> Any:
    """net.move(device), vl_simplenn_move(net, device): a network stays on the CPU."""
    if hasattr(net, "move"):
        net.move("cpu")
    return net


def gather(*arrays: Any) -> Any:
    """Arrays are in main memory already."""
    return arrays[0] if len(arrays) == 1 else arrays


gpuArray = gather


def gpuDevice(*_: Any) -> Any:
    """There is no GPU here: an empty answer."""
    return Struct(Name="none", Index=0)


def gpuDeviceCount() -> int:
    """No GPU is used."""
    return 0


def parpool(*_: Any) -> None:
    """Workers are not needed: parfor runs as for."""


gcp = matlabpool = wait = parpool


def vl_simplenn_display(*arguments: Any, nargout: int = 0, **options: Any) -> Any:
    """Prints the table of a network; with nargout=1 its facts instead, with 2 the text as well."""
    info, text = pcn.vl_simplenn_display(*arguments, **options)
    if nargout:
        return (info, text) if nargout > 1 else info
    print(text, end="")
    return info


def vl_setupnn(*_: Any) -> None:
    """pyconvnet is ready when it is imported."""


vl_compilenn = addpath = rmpath = genpath = vl_setupnn
