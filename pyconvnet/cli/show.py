"""show: the table of a network."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from pyconvnet import atomic
from pyconvnet.cli.arguments import command, count
from pyconvnet.options import nearest


def add(commands: Any) -> None:
    """The command show."""
    parser = command(commands, "show", run, "print the table of a network: its layers, sizes, memory")
    parser.add_argument(
        "net",
        metavar="NET",
        help="file of a network (.mat), or the name of a standard network such as vgg-vd-16, or of one to fetch",
    )
    parser.add_argument("--classic", action="store_true", help="the table of MatConvNet v1.0-beta7, as on old slides")
    parser.add_argument(
        "--input", nargs="+", type=int, metavar="N", help="size of the input: H W C or H W C N (SimpleNN: else its own)"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--format", choices=["ascii", "latex", "csv"], default="ascii", help="of the table (ascii)")
    parser.add_argument("--columns", type=count, default=18, metavar="N", help="cut tables after N layers (18)")
    parser.add_argument("--bn", action="store_true", help="for a name: the version with batch normalization")
    parser.add_argument(
        "--deployed", action="store_true", help="for a name: without dropout, with softmax (--classic: always)"
    )
    parser.add_argument("--variable", help="the variable of the file that holds the network, where there are several")
    form.add_argument(
        "--json", action="store_true", help="the table for programs; help(pyconvnet.display.as_dict) says what is in it"
    )
    form.add_argument("--dot", action="store_true", help="the graph in Graphviz's language instead of a table")
    parser.add_argument("--svg", metavar="FILE", help="draw the graph into this file (pip install graphviz)")


def run(args: argparse.Namespace) -> int:
    """Run show; returns the exit code."""
    from pyconvnet import dagnn, formats, models, vl_simplenn_display
    from pyconvnet.display.data import as_dict, json_text
    from pyconvnet.models import named
    from pyconvnet.networks import is_graph, network

    if Path(args.net).exists() or formats.names_file(args.net) or args.net in models.published_names():
        net = formats.load(named.file_of(args.net), tidy=not args.classic, variable=args.variable)
    elif args.net not in models.names():
        near = nearest(args.net, [*models.names(), *models.published_names()])
        hint = f"did you mean {near}? known" if near else "known"
        raise ValueError(f"{args.net} is neither a file nor a standard network; {hint}: {', '.join(models.names())}")
    else:
        net = models.build(args.net, batchNormalization=args.bn, init=False, deployed=args.deployed or args.classic)
    if args.svg:
        atomic.write(args.svg, dagnn.printing.to_svg(network(net).graph()))
    if args.dot:
        print(dagnn.printing.describe(network(net).graph(), Format="dot"), end="")
    elif args.json:
        print(json_text(as_dict(net, _sizes(args, net))), end="")
    elif args.svg:
        pass
    elif is_graph(net):
        if args.classic:
            raise ValueError(f"{args.net} is a DagNN: the classic table is one of SimpleNN")
        net.print(_sizes(args, net), All=True, Format=args.format, MaxNumColumns=args.columns)
    else:
        style = "classic" if args.classic else None
        options = {} if args.columns == 18 else {"maxNumColumns": args.columns}
        size = _sizes(args, net)
        print(vl_simplenn_display(net, inputSize=size, format=args.format, style=style, **options)[1], end="")
    return 0


def _sizes(args: argparse.Namespace, net: Any) -> Any:
    """The size of the input, of a DagNN those of its inputs by name; None for the one in net.meta."""
    from pyconvnet.dagnn.sizes import var_sizes
    from pyconvnet.display.data import data_inputs, graph_input_sizes
    from pyconvnet.display.summary import summarize
    from pyconvnet.networks import is_graph

    if not args.input:
        return graph_input_sizes(net) if is_graph(net) else None
    size = _size(args.input)
    # Sizes in a file may be wrong, and the table is to show them; one that is asked for must fit.
    if not is_graph(net):
        summarize(net, size, fitting=True)
        return size
    sizes = {name: size for name in data_inputs(net)[:1]}
    var_sizes(net, sizes, fitting=True)
    return sizes


def _size(numbers: list[int]) -> list[int]:
    if not 2 <= len(numbers) <= 4 or min(numbers) < 1:
        raise ValueError(f"--input must be H W C or H W C N, got {' '.join(map(str, numbers))}")
    return numbers + [1] * (4 - len(numbers))
