"""convert: a network in another format."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from pyconvnet import atomic
from pyconvnet.cli.arguments import command


def add(commands: Any) -> None:
    """The command convert."""
    parser = command(commands, "convert", run, "write a network in another format, which the suffix of OUT says")
    parser.add_argument("net", metavar="IN", help="the file of a network, or a name that show knows")
    parser.add_argument(
        "out",
        metavar="OUT",
        help="net.mat for MATLAB; net.py, source for PyTorch with net.safetensors beside it; net.safetensors, the "
        "weights alone in PyTorch's layout; and the suffixes of other formats",
    )
    parser.add_argument(
        "--check",
        metavar="IMAGE",
        help="run both networks on this image and print the largest difference (source for PyTorch is run as such)",
    )
    parser.add_argument("--prototxt", metavar="FILE", help="the definition of a .caffemodel (else: one beside it)")
    parser.add_argument("--variable", help="the variable of the file that holds the network, where there are several")


def run(args: argparse.Namespace) -> int:
    """Run convert; returns the exit code."""
    from pyconvnet import formats
    from pyconvnet.formats import registry
    from pyconvnet.models import named

    registry.written_as(args.out)
    if args.check:
        registry.check_run(args.out, "convert --check")
    atomic.check(args.out)
    if Path(args.out).exists() and Path(args.net).exists() and Path(args.out).samefile(args.net):
        raise ValueError(f"convert: OUT must be another file than IN, got {args.out} for both")
    if args.prototxt:
        from pyconvnet.formats.caffe import from_caffe

        net = from_caffe(args.prototxt, args.net)
    else:
        net = named.load(args.net, variable=args.variable)
    known = _answer(net, args.check) if args.check else None
    formats.save(args.out, net)
    print(f"{args.out} is written")
    if known is not None:
        worst, largest = _difference(*known, args.out)
        print(f"{args.check}: the outputs differ by {worst:.2g} at most, the largest is {largest:.4g}")
        if not worst <= _TOLERATED * largest:
            raise ValueError(f"{args.out} does not give the outputs of {args.net}")
    return 0


_TOLERATED = 1e-3  # between outputs of a network in two formats, relative to the largest


def _answer(net: Any, image: str) -> tuple[np.ndarray, np.ndarray]:
    """(the image as the network takes it, the output for it), found before the network is written."""
    from pyconvnet import local_precision, predict
    from pyconvnet.arrays import in_precision
    from pyconvnet.models import preprocess
    from pyconvnet.networks import network

    x = in_precision(preprocess(net, image), [w for _, weights in network(net).weights() for w in weights])
    with local_precision("high"):  # other programs have the exact power in LRN
        return x, predict(net, x)


def _difference(x: np.ndarray, ours: np.ndarray, path: str) -> tuple[float, float]:
    """(largest difference, largest output) of a network, of which input and output are given, and of its file."""
    from pyconvnet import formats, local_precision, predict
    from pyconvnet.formats import registry

    theirs = registry.run(path, x)
    if theirs is None:
        with local_precision("high"):
            theirs = predict(formats.load(path), x)
    if ours.shape != theirs.shape:
        raise ValueError(f"{path}: its output is {theirs.shape}, that of the network {ours.shape}")
    return float(np.abs(ours - theirs).max()), float(np.abs(ours).max())
