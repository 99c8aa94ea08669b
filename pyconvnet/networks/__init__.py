"""The two kinds of network, as the engine sees them."""
