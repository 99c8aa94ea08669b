"""The order in which the layers of a graph run."""

from __future__ import annotations

from collections.abc import Sequence

from pyconvnet.dagnn.parts import LayerEntry


def execution_order(layers: Sequence[LayerEntry]) -> list[int]:
    """Positions of the layers, each after those whose outputs it reads; ties as MatConvNet breaks them.

    MatConvNet sorts the layers by the longest path from each to the end of the graph, longest first, and keeps the
    order of the list among equals. A cycle raises ValueError with the layers and variables on it.
    """
    readers: dict[str, list[int]] = {}
    for i, layer in enumerate(layers):
        for name in layer.inputs:
            readers.setdefault(name, []).append(i)
    children = [list(dict.fromkeys(c for name in layer.outputs for c in readers.get(name, ()))) for layer in layers]

    depth = [0] * len(layers)
    open_at: dict[int, int] = {}
    for root in range(len(layers)):
        if depth[root]:
            continue
        path = [root]
        todo = [iter(children[root])]
        open_at[root] = 0
        while path:
            child = next(todo[-1], None)
            if child is None:
                done = path.pop()
                todo.pop()
                del open_at[done]
                depth[done] = 1 + max((depth[c] for c in children[done]), default=0)
            elif child in open_at:
                raise ValueError(_cycle([layers[i] for i in path[open_at[child] :]]))
            elif not depth[child]:
                open_at[child] = len(path)
                path.append(child)
                todo.append(iter(children[child]))
    return sorted(range(len(layers)), key=lambda i: -depth[i])


def _cycle(loop: Sequence[LayerEntry]) -> str:
    steps = []
    for layer, after in zip(loop, (*loop[1:], loop[0])):
        shared = next(name for name in layer.outputs if name in after.inputs)
        steps.append(f"{layer.name!r} -({shared})->")
    return f"the graph has a cycle: {' '.join(steps)} {loop[0].name!r}"
