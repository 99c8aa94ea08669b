"""fetch: download trained networks of MatConvNet."""

from __future__ import annotations

import argparse
from typing import Any

from pyconvnet.cli.arguments import command


def add(commands: Any) -> None:
    """The command fetch."""
    parser = command(commands, "fetch", run, "download trained networks of MatConvNet; without a name, list them")
    parser.add_argument("names", metavar="NAME", nargs="*", help="such as imagenet-vgg-verydeep-16")
    parser.add_argument("--folder", metavar="DIR", help="where files go (PYCONVNET_MODELS, else the folder of caches)")
    parser.add_argument(
        "--mirror",
        metavar="URL",
        action="append",
        help="a folder with NAME.mat, instead of www.vlfeat.org (or PYCONVNET_MIRRORS); several are asked in turn",
    )


def run(args: argparse.Namespace) -> int:
    """Run fetch; returns the exit code."""
    from pyconvnet import models
    from pyconvnet.models.pretrained import path_of

    for name in args.names:
        print(models.fetch(name, folder=args.folder, mirrors=args.mirror))
    if not args.names:
        width = max(map(len, models.published_names()))
        for name in models.published_names():
            path = path_of(name, args.folder)
            print(f"{name:{width}}  {path if path.exists() else ''}".rstrip())
    return 0
