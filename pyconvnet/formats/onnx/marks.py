"""Layers that to_onnx wrote as several nodes and from_onnx makes one of again.

The nodes carry in their doc_string which layer they are. That is believed where to_onnx writes the very same nodes for
that layer; nodes that were changed, or say another layer than they are, are read one by one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from onnx import NodeProto

from pyconvnet.formats.onnx.builder import Builder
from pyconvnet.formats.onnx.export_table import writer_of
from pyconvnet.formats.onnx.values import Tensor
from pyconvnet.layers import Layer, block_class


@dataclass
class Group:
    """Nodes in a row with one mark."""

    layer: str
    block: str
    properties: dict[str, Any]
    inputs: list[str]
    nodes: list[NodeProto] = field(default_factory=list)

    @property
    def output(self) -> str:
        return self.nodes[-1].output[0]


def marked_groups(nodes: Sequence[NodeProto]) -> dict[int, Group]:
    """{position of the first node: group}"""
    groups: dict[int, Group] = {}
    text, group = "", None
    for at, node in enumerate(nodes):
        if not node.doc_string.startswith('{"block"'):
            text, group = "", None
            continue
        if node.doc_string != text:
            text, group = node.doc_string, _group(node.doc_string)
            if group is not None:
                groups[at] = group
        if group is not None:
            group.nodes.append(node)
    return groups


def _group(text: str) -> Group | None:
    try:
        found = json.loads(text)
        layer, block, properties, inputs = (found[k] for k in ("layer", "block", "properties", "inputs"))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    kinds = (isinstance(layer, str), isinstance(block, str), isinstance(properties, dict), isinstance(inputs, list))
    return Group(layer, block, properties, [str(v) for v in inputs]) if all(kinds) else None


def layer_of(group: Group, inputs: Sequence[Tensor], constants: dict[str, Any]) -> Layer | None:
    """The layer of a group; None where to_onnx writes other nodes for it."""
    block = block_class(group.block)(**{k: _plain(v) for k, v in group.properties.items()})
    g = Builder()
    g.layer = group.layer
    for name, t in zip(group.inputs, inputs):
        g.name(name)
        g.sizes[name] = tuple(math.nan if s is None else float(s) for s in (*t.base[2:], *t.base[1::-1]))
    writer_of(block)(g, block, list(group.inputs), [])
    same: dict[str, str] = {name: name for name in group.inputs}
    if len(g.nodes) != len(group.nodes):
        return None
    for ours, theirs in zip(g.nodes, group.nodes):
        if ours.op_type != theirs.op_type or len(ours.input) != len(theirs.input):
            return None
        attributes = [sorted(a.SerializeToString() for a in node.attribute) for node in (ours, theirs)]
        if attributes[0] != attributes[1]:
            return None
        for a, b in zip(ours.input, theirs.input):
            if a in g.constants:
                value = constants.get(b)
                if value is None or value.dtype.kind not in "fi" or list(value.shape) != list(g.constants[a].dims):
                    return None
                if value.tobytes() != g.constants[a].raw_data:
                    return None
            elif same.get(a) != b:
                return None
        same.update(zip(ours.output, theirs.output))
    return block


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
