"""What run prints, writes and draws for an image."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pyconvnet import atomic
from pyconvnet.cli.results import kind_of
from pyconvnet.text import drawn_text

_SHOWN = 8  # numbers of a regression in a line


def lines(net: Any, image: str, y: np.ndarray, top: int) -> Iterator[str]:
    """What the output of an image says, in words."""
    from pyconvnet import best_classes
    from pyconvnet.arrays import size_text

    kind = kind_of(net, y)
    if kind == "image":
        yield f"{image}: {size_text(y.shape[:3])} image, values {y.min():.4g} to {y.max():.4g}, mean {y.mean():.4g}"
        return
    head = f"{image}: "
    if y.shape[0] * y.shape[1] > 1:
        yield f"{head}{size_text(y.shape[:3])} {'values' if kind == 'values' else 'scores'}; their mean over positions:"
        head = "  "
    if kind == "values":
        values = y.mean(axis=(0, 1), dtype=float).ravel()
        rest = f" ... ({values.size} values)" if values.size > _SHOWN else ""
        yield head + " ".join(f"{v:.4g}" for v in values[:_SHOWN]) + rest
        return
    for best in best_classes(net, y, top):
        yield f"{head}{best}"
        head = " " * len(head)


def check_targets(args: argparse.Namespace, images: list[str]) -> None:
    """Refuse --csv, --save and --plot that cannot be written before anything is computed."""
    if args.csv:
        atomic.check(args.csv)
    stems = Counter(Path(image).stem for image in images)
    twice = next((stem for stem, count in stems.items() if count > 1), None)
    if twice is not None and (args.save or args.plot is not None):
        raise ValueError(f"run: several images are named {twice}, whose outputs would be one file: --save, --plot")
    if args.save:
        if Path(args.save).suffix != ".npy":
            from pyconvnet.images import format_of

            format_of(args.save)
        atomic.check(args.save)
    if args.plot:
        from pyconvnet.view.plots import check_format

        check_format(args.plot)
        atomic.check(args.plot)


def check_residual(x: np.ndarray, y: np.ndarray) -> None:
    """Refuse to subtract an output that is not of the size of its image."""
    from pyconvnet.arrays import size_text

    if y.shape != x.shape:
        raise ValueError(
            "run: --residual takes networks whose output has the size of the image, "
            f"{size_text(x.shape[:3])}; that of this one is {size_text(y.shape[:3])}"
        )


def check_written(out: str, y: np.ndarray) -> None:
    """Refuse to write numbers that are no image, nor a map of classes, as an image."""
    from pyconvnet.arrays import size_text

    if Path(out).suffix != ".npy" and y.shape[0] * y.shape[1] == 1:
        raise ValueError(
            f"run: --save {out} takes networks whose output is an image, more than a pixel; that of this one is "
            f"{size_text(y.shape[:3])}, which --save {Path(out).with_suffix('.npy')} takes"
        )


def target(out: str, image: str, several: bool) -> Path:
    """The file for the output of one image."""
    path = Path(out)
    return path if not several else path.with_name(f"{path.stem}-{Path(image).stem}{path.suffix}")


def write(path: Path, y: np.ndarray, scale: float) -> None:
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


def plot(path: Path, net: Any, image: str, y: np.ndarray, scale: float) -> None:
    """Draw an image beside what the network made of it, or with its best class as a title."""
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
