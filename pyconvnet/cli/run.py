"""run: a network on images and folders of them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from pyconvnet import atomic
from pyconvnet.cli import outputs
from pyconvnet.cli.arguments import command, count, fail
from pyconvnet.cli.results import Table
from pyconvnet.interrupts import Interrupt, postponed
from pyconvnet.text import visible

# Images run together while they have so many pixels at most, so that small ones are fast and large ones fit in memory.
_PIXELS = 2**20
_TOGETHER = 64


def add(commands: Any) -> None:
    """The command run."""
    parser = command(commands, "run", run, "run a network on images: best classes, numbers, or the image that it makes")
    parser.add_argument("net", metavar="NET", help="the file of a network (.mat), or a name that show knows")
    parser.add_argument(
        "images", metavar="IMAGE", nargs="+", help="images, or folders of them; prepared as the network's own meta says"
    )
    parser.add_argument("--recursive", action="store_true", help="of a folder also the images in its folders")
    parser.add_argument("--top", type=count, default=5, metavar="N", help="print the N best classes (5)")
    parser.add_argument(
        "--csv",
        metavar="OUT.csv",
        help="write a table instead of printing: image, rank, class, name, score. A network without classes: image, "
        "output, value; one that makes images: image, channel, height, width, minimum, maximum, mean",
    )
    parser.add_argument(
        "--save",
        metavar="OUT",
        help="write the output: .npy, or .png of an image; of several, OUT-IMAGE.npy each",
    )
    parser.add_argument(
        "--plot",
        nargs="?",
        const="",
        metavar="OUT.png",
        help="draw image and result (default: IMAGE-result.png)",
    )
    parser.add_argument("--full-size", action="store_true", help="do not resize: run over the whole image, as it is")
    parser.add_argument("--unit", action="store_true", help="the network expects images in 0..1 rather than 0..255")
    parser.add_argument("--residual", action="store_true", help="subtract the network's output from the image (DnCNN)")
    parser.add_argument("--variable", help="the variable of the file that holds the network, where there are several")


def run(args: argparse.Namespace) -> int:
    """Run the network; returns the exit code, 1 if an image failed."""
    from pyconvnet.models import named

    images = _image_files(args.images, args.recursive)
    several = len(images) > 1
    outputs.check_targets(args, images)
    net = named.load(args.net, variable=args.variable)
    failed = done = rows = 0

    def answer(table: Table | None = None) -> None:
        nonlocal failed, done
        for (image, y), say in _progress(_results(args, net, images), len(images)):
            try:
                if isinstance(y, Exception):
                    raise y
                _answer(args, net, image, y, say if table is None else table, several)
            except (OSError, ValueError, TypeError) as error:
                if not several:
                    raise
                failed = fail(error if image in str(error) else ValueError(f"{image}: {error}"), say)
            done += 1
            if interrupt.came:  # raised at the end of the block
                break

    def write_table(file: BinaryIO) -> None:
        nonlocal rows
        table = Table(file, args.top)
        answer(table)
        rows = table.rows
        if not rows:
            raise ValueError(f"{args.csv} is not written: no image could be run")

    try:
        with postponed("this image") if several else nullcontext(Interrupt()) as interrupt:
            if args.csv:
                atomic.write(args.csv, write_table)
            else:
                answer()
    except KeyboardInterrupt:
        kept = f"; {args.csv} has {rows} rows" if rows else ""
        raise KeyboardInterrupt(f"stopped, {done} of {len(images)} images are done{kept}") from None
    return failed


def _image_files(names: list[str], recursive: bool) -> list[str]:
    """The images that arguments mean: a folder stands for those in it."""
    from pyconvnet.images import image_files

    found: list[str] = []
    for name in names:
        within = image_files(name, recursive) if Path(name).is_dir() else [name]
        if not within:
            raise ValueError(
                f"{name}: no image is in this folder{'' if recursive else ' (--recursive: in its folders)'}"
            )
        found += map(str, within)
    return found


def _results(args: argparse.Namespace, net: Any, images: list[str]) -> Iterator[tuple[str, Any]]:
    """(image, output, or the error that there was) of each, in order; those of a size run together."""
    from pyconvnet.models import preprocess

    batch: list[tuple[str, Any]] = []
    for image in images:
        try:
            x = preprocess(net, image, resize=not args.full_size)
        except (OSError, ValueError, TypeError) as error:
            yield from _predicted(args, net, batch)
            batch = []
            yield image, error
            continue
        room = min(_TOGETHER, _PIXELS // (x.shape[0] * x.shape[1]))
        if batch and (len(batch) >= room or batch[0][1].shape != x.shape):
            yield from _predicted(args, net, batch)
            batch = []
        batch.append((image, x / np.float32(255) if args.unit else x))
    yield from _predicted(args, net, batch)


def _predicted(args: argparse.Namespace, net: Any, batch: list[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """The same of images whose inputs are of one size; where they fail together, each runs alone."""
    from pyconvnet import predict
    from pyconvnet.arrays import from_nhwc, nhwc

    if not batch:
        return
    x = from_nhwc(np.concatenate([nhwc(one) for _, one in batch]))
    try:
        y = predict(net, x)
        if args.residual:
            outputs.check_residual(x, y)
            y = x - y
    except (OSError, ValueError, TypeError) as error:
        if len(batch) == 1:
            yield batch[0][0], error
            return
        for one in batch:
            yield from _predicted(args, net, [one])
        return
    for k, (image, _) in enumerate(batch):
        yield image, y[:, :, :, k : k + 1]


def _progress(results: Iterator[Any], count: int) -> Iterator[tuple[Any, Callable[..., None]]]:
    """(result, function that prints a line) of each; with a bar on stderr for many images, if tqdm is installed."""
    try:
        if count < 4 or not sys.stderr.isatty():
            raise ImportError
        from tqdm import tqdm
    except ImportError:
        yield from ((result, print) for result in results)
        return
    with tqdm(results, total=count, unit="image", file=sys.stderr) as bar:
        yield from ((result, bar.write) for result in bar)  # lines go above the bar


def _answer(
    args: argparse.Namespace, net: Any, image: str, y: np.ndarray, to: Table | Callable[..., None], several: bool
) -> None:
    """Print what the output of an image says, or add it to the table; write and draw what is asked for."""
    if args.save:
        outputs.check_written(args.save, y)
    if isinstance(to, Table):
        to.add(net, image, y)
    else:
        for line in outputs.lines(net, image, y, args.top):
            to(visible(line))
    scale = 255 if args.unit else 1
    if args.save:
        outputs.write(outputs.target(args.save, image, several), y, scale)
    if args.plot is not None:
        out = outputs.target(args.plot, image, several) if args.plot else Path(f"{Path(image).stem}-result.png")
        outputs.plot(out, net, image, y, scale)
