"""A network of the layers that a builder lists: the last layer, default fields, and a DagNN if one is asked for."""

from __future__ import annotations

from typing import Any

from pyconvnet.models.graph import add_losses
from pyconvnet.models.layer_records import layer
from pyconvnet.records import Struct


def last_layer(deployed: bool, name: str | None = None) -> Struct:
    """The loss to train with; the softmax that gives probabilities where the network is deployed."""
    return layer("softmax", "prob") if deployed else layer("softmaxloss", name)


def assemble(layers: list[Struct], meta: Struct, networkType: str, errors: dict[str, tuple[str, str]]) -> Any:
    """A tidied SimpleNN; or a DagNN that measures `errors` as well: layer name -> (kind of loss, variable)."""
    from pyconvnet.compat.tidy import vl_simplenn_tidy
    from pyconvnet.simplenn import SimpleNN

    kind = networkType.lower() if isinstance(networkType, str) else networkType
    if kind not in ("simplenn", "dagnn"):
        raise ValueError(f"networkType must be 'simplenn' or 'dagnn', got {networkType!r}")
    net = vl_simplenn_tidy(SimpleNN(layers=layers, meta=meta))
    return net if kind == "simplenn" else _dag(net, errors)


def _dag(net: Any, errors: dict[str, tuple[str, str]]) -> Any:
    from pyconvnet.dagnn import DagNN

    dag = DagNN.fromSimpleNN(net, canonicalNames=True)
    add_losses(dag, errors)
    return dag
