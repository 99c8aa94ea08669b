"""Random graphs of all blocks; `python -m tests.dagnn.random_graphs` runs as many as are asked for."""

import pytest

from tests.dagnn import random_graphs


@pytest.mark.parametrize("check", random_graphs.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("first", range(0, 300, 50))
def test_random_graphs(first, check):
    for seed in range(first, first + 50):
        try:
            check(seed)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error}") from error


def test_every_block_is_among_them():
    from pyconvnet import dagnn

    seen = {type(e.block).__name__ for seed in range(300) for e in random_graphs.Graph(seed).net.layers}
    blocks = {n for n, v in vars(dagnn).items() if isinstance(v, type) and issubclass(v, dagnn.Layer) and v._block}
    assert blocks <= seen
