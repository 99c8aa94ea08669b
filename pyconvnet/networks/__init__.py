"""One interface to both kinds of network: `network(net)` wraps a SimpleNN or a DagNN."""

from pyconvnet.networks.base import Network, is_graph, network

__all__ = ["Network", "is_graph", "network"]
