"""Letters of 16 x 16 pixels, in fonts that come with matplotlib, and a network small enough to train in a second.

The chapters of the course on training (tricks, non-linearities, hyper-parameters) are made with these.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

import pyconvnet as pcn
from pyconvnet import Struct

LETTERS = string.ascii_lowercase
SIDE = 16
FOLDER = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
# Three families to train on, four fonts each; two other families to validate on.
DEJAVU = [
    *("DejaVuSans", "DejaVuSerif", "DejaVuSansMono"),
    *("DejaVuSans-Bold", "DejaVuSerif-Bold", "DejaVuSansMono-Bold"),
    *("DejaVuSans-Oblique", "DejaVuSerif-Italic", "DejaVuSansMono-Oblique"),
    *("DejaVuSans-BoldOblique", "DejaVuSerif-BoldItalic", "DejaVuSansMono-BoldOblique"),
]
OTHERS = [
    *("STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta"),
    *("cmr10", "cmb10", "cmss10", "cmtt10", "cmti10", "cmmi10"),
]


def draw(font: str) -> np.ndarray:
    """The letters a-z in a font, on one base line: 16 x 16 x 1 x 26, 0 is paper and 1 is ink."""
    path = str(FOLDER / f"{font}.ttf")
    _, top, _, bottom = ImageFont.truetype(path, 64).getbbox(LETTERS)
    # Drawn twice as large and averaged, so that edges are smooth.
    pen = ImageFont.truetype(path, round(64 * 0.9 * 2 * SIDE / (bottom - top)))
    _, top, _, bottom = pen.getbbox(LETTERS)
    images = []
    for letter in LETTERS:
        left, _, right, _ = pen.getbbox(letter)
        image = Image.new("L", (2 * SIDE, 2 * SIDE))
        ImageDraw.Draw(image).text(((2 * SIDE - left - right) / 2, (2 * SIDE - top - bottom) / 2), letter, 255, pen)
        images.append(np.asarray(image, np.float32).reshape(SIDE, 2, SIDE, 2).mean(axis=(1, 3)) / 255)
    return np.stack(images, axis=-1)[:, :, None, :]


def imdb(train: Sequence[str] = DEJAVU[:6], val: Sequence[str] = OTHERS) -> Struct:
    """The letters of some fonts to train on (set 1), and of others to validate on (set 2).

    images.data 16 x 16 x 1 x N, mean 0 and deviation 1 over the training images; images.labels 1..26; images.set
    """
    data = np.concatenate([draw(font) for font in (*train, *val)], axis=3)
    seen = data[..., : 26 * len(train)]
    return Struct(
        images=Struct(
            data=(data - seen.mean()) / seen.std(),
            labels=np.tile(np.arange(1, 27), len(train) + len(val)),
            set=np.repeat([1, 2], [26 * len(train), 26 * len(val)]),
        ),
        meta=Struct(classes=list(LETTERS)),
    )


def he(h: int, w: int, c: int, k: int) -> float:
    """The deviation sqrt(2 / fan-in), for rectifiers."""
    return np.sqrt(2 / (h * w * c))


def network(
    seed: int = 0,
    *,
    activation: dict[str, Any] | None = None,
    dropout: float = 0.0,
    deviation: Callable[[int, int, int, int], float] = he,
    more: int = 0,
    width: int = 64,
) -> pcn.SimpleNN:
    """Four convolutions with a non-linearity after each but the last, two poolings, the loss.

    activation  record of the non-linearity, {"type": "relu"} unless another is given
    dropout     share of the 64 last features that is set to zero in training
    deviation   of the first weights, by the size h x w x c x k of the filters
    more        further convolutions, 3 x 3, after the first pooling
    """
    rng = np.random.default_rng(seed)
    act = activation or {"type": "relu"}

    def conv(h: int, c: int, k: int, pad: int = 0, factor: float = 1.0) -> dict[str, Any]:
        f = rng.normal(0, factor * deviation(h, h, c, k), (h, h, c, k)).astype(np.float32)
        return {"type": "conv", "weights": [f, np.zeros((1, k), np.float32)], "stride": 1, "pad": pad}

    pool = {"type": "pool", "method": "max", "pool": [2, 2], "stride": 2, "pad": 0}
    layers = [conv(5, 1, 8), act, pool]
    for _ in range(more):
        layers += [conv(3, 8, 8, pad=1), act]
    layers += [conv(3, 8, 16), act, pool, conv(2, 16, width), act]
    if dropout:
        layers.append({"type": "dropout", "rate": dropout})
    # A tenth in the last layer: the scores begin small, the network undecided.
    layers += [conv(1, width, 26, factor=0.1), {"type": "softmaxloss"}]
    net = pcn.SimpleNN(layers=[Struct(layer) for layer in layers], meta=Struct(inputSize=[SIDE, SIDE, 1]))
    return pcn.vl_simplenn_tidy(net)


def train(
    net: pcn.SimpleNN, imdb: Struct, change: Callable[..., np.ndarray] | None = None, **options: Any
) -> tuple[pcn.SimpleNN, Struct]:
    """Train quietly, and write nothing; `change` is applied to training images. Options are those of cnn_train."""

    def get_batch(imdb: Struct, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        images = imdb.images.data[..., batch]
        if change is not None and imdb.images.set[batch[0]] == 1:
            images = change(images)
        return images, imdb.images.labels[batch]

    usual = {"batchSize": 26, "numEpochs": 40, "learningRate": 0.01, "weightDecay": 0}
    return pcn.cnn_train(net, imdb, get_batch, **{**usual, **options}, expDir=None, verbose=False)


def curve(stats: Struct, part: str, name: str = "objective") -> np.ndarray:
    """A quantity over the epochs: curve(stats, "val", "top1err")."""
    return np.array([epoch[name] for epoch in stats[part]])


def draw_curves(ax: Any, runs: dict[str, list[Struct]], part: str, name: str = "objective", steps: int = 0) -> None:
    """A quantity of several trainings of each kind: each a thin line, their mean a thick one, with the kind's name.

    runs   kind -> statistics of each of its trainings
    steps  so many steps at the last epoch: the axis counts steps, otherwise epochs
    """
    for k, (kind, trainings) in enumerate(runs.items()):
        curves = np.array([curve(stats, part, name) for stats in trainings])
        epochs = curves.shape[1]
        at = np.arange(1, epochs + 1) * (steps / epochs if steps else 1)
        if len(curves) > 1:
            ax.plot(at, curves.T, color=f"C{k}", linewidth=0.7, alpha=0.4)
        ax.plot(at, curves.mean(axis=0), color=f"C{k}", linewidth=2, label=kind)
