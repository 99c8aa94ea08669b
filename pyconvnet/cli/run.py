"""run: a network on images."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from pyconvnet import atomic
from pyconvnet.cli.arguments import command, count, fail
from pyconvnet.interrupts import Interrupt, postponed
from pyconvnet.text import drawn_text, visible


def add(commands: Any) -> None:
    """The command run."""
    parser = command(commands, "run", run, "run a network on images: best classes, or the image that it makes")
    parser.add_argument("net", metavar="NET", help="the file of a network (.mat), or a name that show knows")
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="images, prepared as the network's own meta says")
    parser.add_argument("--top", type=count, default=5, metavar="N", help="print the N best classes (5)")
    parser.add_argument(
        "--save", metavar="OUT", help="write the output: .npy, or .png for an image; of several, OUT-IMAGE.npy each"
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
    """Run run; returns the exit code."""
    from pyconvnet.models import named

    _check_targets(args)
    net = named.load(args.net, variable=args.variable)
    several = len(args.images) > 1
    failed = done = 0
    try:
        with postponed("this image") if several else nullcontext(Interrupt()) as interrupt:
            for image, say in _progress(args.images):
                try:
                    _run_one(args, net, image, say)
                except (OSError, ValueError, TypeError) as error:
                    if not several:
                        raise
                    failed = fail(error if str(image) in str(error) else ValueError(f"{image}: {error}"), say)
                done += 1
                if interrupt.came:  # raised at the end of the block
                    break
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"stopped, {done} of {len(args.images)} images are done") from None
    return failed


def _run_one(args: argparse.Namespace, net: Any, image: str, say: Callable[..., None]) -> None:
    from pyconvnet import predict
    from pyconvnet.models import preprocess

    x = preprocess(net, image, resize=not args.full_size)
    x = x / np.float32(255) if args.unit else x
    y = predict(net, x)
    if args.residual:
        y = x - y
    for line in _answer(net, image, y, args.top):
        say(visible(line))
    scale = 255 if args.unit else 1
    if args.save:
        _write(_target(args.save, image, len(args.images)), y, scale)
    if args.plot is not None:
        several = len(args.images) if args.plot else 1
        _plot(_target(args.plot or f"{Path(image).stem}-result.png", image, several), net, image, y, scale)


def _progress(images: list[str]) -> Iterator[tuple[str, Callable[..., None]]]:
    """(image, function that prints a line) of each; with a bar on stderr for many images, if tqdm is installed."""
    try:
        if len(images) < 4 or not sys.stderr.isatty():
            raise ImportError
        from tqdm import tqdm
    except ImportError:
        yield from ((image, print) for image in images)
        return
    with tqdm(images, unit="image", file=sys.stderr) as bar:
        yield from ((image, bar.write) for image in bar)  # lines go above the bar


def _answer(net: Any, image: str, y: np.ndarray, top: int) -> Iterator[str]:
    from pyconvnet import best_classes
    from pyconvnet.arrays import size_text
    from pyconvnet.prediction import is_image

    if is_image(y):
        yield f"{image}: {size_text(y.shape[:3])} image, values {y.min():.4g} to {y.max():.4g}, mean {y.mean():.4g}"
        return
    head = f"{image}: "
    if y.shape[0] * y.shape[1] > 1:
        yield f"{head}{size_text(y.shape[:3])} scores; their mean over positions:"
        head = "  "
    for best in best_classes(net, y, top):
        yield f"{head}{best}"
        head = " " * len(head)


def _check_targets(args: argparse.Namespace) -> None:
    """Refuse --save and --plot that cannot be written before anything is computed."""
    if args.save:
        if Path(args.save).suffix != ".npy":
            from pyconvnet.images import format_of

            format_of(args.save)
        atomic.check(args.save)
    if args.plot:
        from pyconvnet.view.plots import check_format

        check_format(args.plot)
        atomic.check(args.plot)


def _target(out: str, image: str, several: int) -> Path:
    path = Path(out)
    return path if several == 1 else path.with_name(f"{path.stem}-{Path(image).stem}{path.suffix}")


def _write(path: Path, y: np.ndarray, scale: float) -> None:
    """The output as .npy, or as an image: of 1 or 3 channels as they are, else the number of the best class."""
    if path.suffix == ".npy":
        atomic.write(path, lambda draft: np.save(draft, y))
        return
    from pyconvnet.images import imwrite

    image = y[:, :, :, 0]
    if image.shape[2] in (1, 3):
        image = np.clip(np.rint(image * scale), 0, 255).astype(np.uint8)
        image = image[:, :, 0] if image.shape[2] == 1 else image
    else:
        image = (image.argmax(axis=2) + 1).astype(np.uint8 if image.shape[2] < 256 else np.uint16)
    imwrite(image, path)


def _plot(path: Path, net: Any, image: str, y: np.ndarray, scale: float) -> None:
    from pyconvnet import best_classes, view
    from pyconvnet.images import imread, single
    from pyconvnet.prediction import is_image

    grey = {"cmap": "gray", "vmin": 0, "vmax": 1}
    made = is_image(y)
    _, axes = view.figure(1, 2 if made else 1)
    for ax in axes.ravel():
        ax.axis("off")
    A = imread(image)
    if A.dtype.kind == "f":  # its white is not known: the largest value
        axes[0, 0].imshow(A, cmap="gray")
    else:
        axes[0, 0].imshow(single(A) / 255, **grey)
    if made:
        axes[0, 1].imshow(np.clip(y[:, :, :, 0] * scale / 255, 0, 1).squeeze(), **grey)
    else:
        axes[0, 0].set_title(drawn_text(best_classes(net, y, 1)[0]))
    view.save(axes, path, dpi=100)
