"""Builder: the nodes and constants of an ONNX graph that is being written."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from pyconvnet.formats.names import free_name
from pyconvnet.formats.onnx.library import SizeNeeded

Size = tuple[float, ...]
UNKNOWN: Size = (math.nan,) * 4


class Param(NamedTuple):
    """A parameter of a layer: its name, and its value as MatConvNet has it."""

    name: str
    value: np.ndarray


class Builder:
    """What a function of the layer table (pyconvnet.formats.onnx.writes) gets to write the nodes of one layer.

    Tensors are named by strings. They are N x C x H x W where MatConvNet's arrays are H x W x C x N.
    """

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, TensorProto] = {}
        self.sizes: dict[str, Size] = {}
        self.layer = ""  # whose nodes are being written
        self._taken: set[str] = set()
        self._named: dict[str, str] = {}  # what constants are called that should have these names

    def name(self, wanted: str) -> str:
        """A name that no other tensor has: `wanted`, or that and a number."""
        return free_name(wanted, self._taken)

    def add(self, op: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        """Add a node; the name of its (first) output."""
        names = [self.name(f"{self.layer}/{op}") for _ in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, names, name=names[0], **attributes))
        return names[0]

    def constant(self, value: Any, name: str = "") -> str:
        """A constant tensor: floating-point numbers in single precision, whole ones as int64.

        One of the same name and value is used again, as where layers share a parameter.
        """
        array = np.asarray(value)
        array = np.ascontiguousarray(array, np.float32 if array.dtype.kind == "f" else np.int64)
        wanted = name or f"{self.layer}/constant"
        found = self.constants.get(self._named.get(wanted, ""))
        if found is not None and list(found.dims) == list(array.shape) and found.raw_data == array.tobytes():
            return found.name
        name = self._named[wanted] = self.name(wanted)
        self.constants[name] = numpy_helper.from_array(array, name)
        return name

    def param(self, param: Param, shape: Sequence[int] | None = None) -> str:
        """A parameter as a constant of its own name: reversed to K x C x H x W, or its elements in another shape."""
        value = np.asarray(param.value, np.float32)
        if shape is not None:
            return self.constant(value.ravel(order="F").reshape(shape), param.name)
        return self.constant(value.reshape((*value.shape, 1, 1, 1, 1)[:4]).transpose(3, 2, 0, 1), param.name)

    def size(self, tensor: str, *positions: int) -> tuple[int, ...]:
        """Sizes of a tensor at positions of H, W, C, N; where one is not known, the layer waits for inputSize."""
        size = self.sizes.get(tensor, UNKNOWN)
        found = [size[i] for i in positions]
        if not all(map(math.isfinite, found)):
            raise SizeNeeded()
        return tuple(int(v) for v in found)

    def known(self, tensor: str, position: int) -> int | None:
        """One size at a position of H, W, C, N; None where it is not known."""
        size = self.sizes.get(tensor, UNKNOWN)[position]
        return int(size) if math.isfinite(size) else None

    def mark(self, first: int, block: str, inputs: list[str], properties: dict[str, Any]) -> None:
        """Say in the nodes from `first` on which layer they are together, so that from_onnx makes that of them."""
        if len(self.nodes) - first > 1:
            text = json.dumps({"block": block, "inputs": inputs, "layer": self.layer, "properties": properties})
            for node in self.nodes[first:]:
                node.doc_string = text
