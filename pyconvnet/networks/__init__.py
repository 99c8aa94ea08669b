"""What is asked of a network, whichever its kind: `network(net)` answers it for a SimpleNN and for a DagNN."""

from pyconvnet.networks.base import Network, is_graph, network

__all__ = ["Network", "is_graph", "network"]
