"""DagNN.print: tables of a graph, or the graph itself for Graphviz."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from pyconvnet.dagnn.saved import matlab_class
from pyconvnet.dagnn.sizes import receptive_fields, var_sizes
from pyconvnet.options import matlab_options
from pyconvnet.table import DAG_FORMATS, RULE, dims_text, memory_text, render
from pyconvnet.text import visible

if TYPE_CHECKING:
    from pyconvnet.dagnn.graph import DagNN


@matlab_options()
def describe(
    net: DagNN,
    inputSizes: Any = None,
    *,
    All: bool = False,
    Layers: Any = "*",
    Parameters: Any = None,
    Variables: Any = "*",
    Dependencies: bool | None = None,
    Memory: bool = True,
    Format: str = "ascii",
    MaxNumColumns: int = 18,
) -> str:
    """The text of DagNN.print.

    inputSizes     {'input': (32, 32, 3, 100)} or MATLAB's flat list: sizes of variables follow from them
    Layers, Parameters, Variables
                   layers to list: '*' for all, names or positions, [] for none
    Dependencies   the receptive field of every variable in every input
    All            everything above
    Memory         the totals at the end
    Format         'ascii', 'latex', 'csv'; or 'dot': the whole graph in Graphviz's language
    MaxNumColumns  wider tables are cut in pieces

    Called with nothing at all, print leaves the variables out, as MATLAB does.
    """
    if not isinstance(Format, str) or Format.lower() not in (*DAG_FORMATS, "dot"):
        known = ", ".join(map(repr, (*DAG_FORMATS, "dot")))
        raise ValueError(f"DagNN.print: Format must be one of {known}, got {Format!r}")
    sizes = var_sizes(net, inputSizes)
    shapes = [_matlab_size(p.value) for p in net.params]
    if Format.lower() == "dot":
        return _graphviz(net, sizes, shapes)
    if All and Parameters is None:
        Parameters = "*"
    tables = [
        _columns(
            ["func", RULE, "type", "inputs", "outputs", "params", "pad", "stride"],
            net.layers,
            Layers,
            lambda i, layer: [
                layer.name,
                RULE,
                _short_class(layer.block),
                " ".join(layer.inputs),
                " ".join(layer.outputs),
                " ".join(layer.params),
                _property(layer.block, "pad"),
                _property(layer.block, "stride"),
            ],
        ),
        _columns(
            ["param", RULE, "dims", "mem", "fanout"],
            net.params,
            Parameters,
            lambda i, p: [p.name, RULE, _dims(shapes[i]), memory_text(4 * math.prod(shapes[i])), str(p.fanout)],
        ),
        _columns(
            ["var", RULE, "dims", "mem", "fanin", "fanout"],
            net.vars,
            Variables,
            lambda i, v: [
                v.name,
                RULE,
                _dims(sizes[i]),
                memory_text(4 * math.prod(sizes[i])),
                str(v.fanin),
                str(v.fanout),
            ],
        ),
    ]
    if Memory:
        of_params = sum(4 * math.prod(s) for s in shapes)
        of_vars = sum(m for m in (4 * math.prod(s) for s in sizes) if not math.isnan(m))
        totals = {"params": of_params, "vars": of_vars, "total": of_params + of_vars}
        tables.append([[name, memory_text(total)] for name, total in totals.items()])
    if All if Dependencies is None else Dependencies:
        for name in net.getInputs():
            fields = receptive_fields(net, name)
            tables.append(
                _columns(
                    [f"rf in '{name}'", RULE, "size", "stride", "offset"],
                    net.vars,
                    "*",
                    lambda i, v, f=fields: [v.name, RULE, *(_dims(f[i][k]) for k in ("size", "stride", "offset"))],
                )
            )
    return "".join(
        render(rows, Format, MaxNumColumns, fn="DagNN.print", formats=DAG_FORMATS) + "\n" for rows in tables if rows
    )


_described: Any = describe
_described.__wrapped__.__name__ = "DagNN.print"  # its name in errors about options


def _columns(heads: list[str], table: Any, wanted: Any, cells: Any) -> list[list[str]]:
    """Rows of a table with one column per wanted item; MATLAB leaves empty columns in the place of the others."""
    if wanted is None or (not isinstance(wanted, str) and not len(wanted)):
        return []
    if isinstance(wanted, str) and wanted == "*":
        chosen = set(range(len(table)))
    else:
        chosen = {table.place(w) for w in ([wanted] if isinstance(wanted, str) else wanted)}
    columns = [heads]
    for i in range(max(chosen, default=-1) + 1):
        columns.append(cells(i, table[i]) if i in chosen else [""] * len(heads))
    return [list(row) for row in zip(*columns)]


def _dims(values: Any) -> str:
    return "n/a" if all(math.isnan(v) for v in values) else dims_text(values)


def _property(block: Any, name: str) -> str:
    if not hasattr(block, name):
        return "n/a"
    values = np.ravel(block.effective_options().get(name, getattr(block, name))).tolist()
    if name == "pad" and len(values) == 2:
        values = [values[0], values[0], values[1], values[1]]
    return dims_text(values) if values else "n/a"


def _short_class(block: Any) -> str:
    return matlab_class(block).removeprefix("dagnn.")


def _matlab_size(value: Any) -> tuple[int, ...]:
    """MATLAB's size: at least two numbers, no further ones at the end."""
    shape = (0, 0) if value is None else tuple(np.shape(value))
    shape += (1,) * (2 - len(shape))
    while len(shape) > 2 and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def _graphviz(net: DagNN, sizes: list, shapes: list) -> str:
    """The graph in Graphviz's language: boxes for layers, rounded records for variables and parameters."""
    font = 'fontsize=12 fontname="helvetica"'
    lines = ["digraph DagNN {", "\tfontsize=12"]

    def node(kind: str, name: str, label: str, look: str) -> None:
        lines.append(f'\t{_quote(kind + name)} [label="{label}" shape=record {look} {font}]')

    for kind, table, dims, look in (
        ("var_", net.vars, sizes, 'style="solid,rounded,filled" color=cornsilk4 fillcolor=beige'),
        ("par_", net.params, shapes, 'style="solid,rounded,filled" color=lightsteelblue4 fillcolor=lightsteelblue'),
    ):
        for part, size in zip(table, dims):
            memory = memory_text(4 * math.prod(size))
            node(kind, part.name, f"{{{{{_escape(part.name)}}} | {{{_dims(size)} | {memory}}}}}", look)
    for layer in net.layers:
        label = f"{{{_escape(layer.name)} | {_escape(matlab_class(layer.block))}}}"
        node("", layer.name, label, 'style="bold,filled" color=tomato4 fillcolor=tomato')
        lines += [f"\t{_quote('var_' + n)} -> {_quote(layer.name)}" for n in layer.inputs]
        lines += [f"\t{_quote(layer.name)} -> {_quote('var_' + n)}" for n in layer.outputs]
        lines += [f"\t{_quote('par_' + n)} -> {_quote(layer.name)}" for n in layer.params]
    return "\n".join([*lines, "}", ""])


def _quote(name: str) -> str:
    return '"' + visible(name).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _escape(text: str) -> str:
    """Text inside a record label, where braces, bars and angles have a meaning."""
    return "".join("\\" + c if c in '\\"{}|<> ' else c for c in visible(text))


def dot(net: Any, inputSizes: Any = None) -> str:
    """A network in Graphviz's language, to save and draw: the text of print(Format='dot').

    net         a DagNN, or a SimpleNN, which is drawn as the graph DagNN.fromSimpleNN makes
    inputSizes  {'input': (H, W, C, N)} or MATLAB's flat list: sizes of variables follow from them

    Raises TypeError for other values.
    Source: MatConvNet, DagNN.print, format 'dot'.
    """
    from pyconvnet.dagnn.graph import DagNN

    if not isinstance(net, DagNN):
        if not (isinstance(net, dict) and "layers" in net):
            raise TypeError(f"dot: net must be a DagNN or a SimpleNN, got {type(net).__name__}")
        net = DagNN.fromSimpleNN(net)
    return describe(net, inputSizes, Format="dot")


def svg(net: Any, inputSizes: Any = None) -> str:
    """A network drawn as SVG text, by the `graphviz` Python package and Graphviz's program dot; arguments as in `dot`.

    Raises ImportError where the package is missing and RuntimeError where the program is; both say how to install it.
    """
    try:
        import graphviz
    except ImportError:
        raise ImportError(
            "drawing a graph needs the Python package graphviz (pip install graphviz) and the program dot; "
            "print(Format='dot') gives the text for other tools"
        ) from None
    source = graphviz.Source(dot(net, inputSizes))
    try:
        return source.pipe(format="svg", encoding="utf-8")
    except graphviz.ExecutableNotFound:
        raise RuntimeError(
            "drawing a graph needs Graphviz's program dot, which is not on the PATH (package graphviz of the system)"
        ) from None


to_svg = svg  # its first name
