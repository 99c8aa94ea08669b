"""Read a sentence with a network trained on single letters: the first experiment of the course.

    python examples/ocr/train.py [--fonts N] [--epochs E] [--out FOLDER] [--save FOLDER] [FONT FOLDER ...]

Draws the letters a-z in every font found, trains the 7-layer network on them twice, without and with jitter, and reads
a sentence with both. In FOLDER (data/ocr):
    fonts.txt               the fonts the letters were drawn in
    plain/, jitter/         checkpoints and curves of both trainings
    filters.png             the 20 filters of the first convolution
    sentence-*.png          the sentence with a box and the letter read around each letter
    sentence-*.txt          the letter read in each column of the network's output, and the text
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from fonts import find
from letters import Pen, letter_imdb
from PIL import Image

import pyconvnet as pcn
from pyconvnet import jitter, models, view
from pyconvnet.models.sentence import SENTENCE, draw_boxes, read_sentence
from pyconvnet.training import stats_table

TEXT = "the rat the cat the dog chased killed ate the malt"
# The sentence is set in this family of fonts, which is left out of training.
UNSEEN = "DejaVu"
# Fewer fonts do for a try, but not for the network in models/.
ENOUGH = 200


def main() -> None:
    args = arguments()
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    found = find(args.folders)
    fonts = [f for f in found if not f.name.startswith(UNSEEN)]
    if args.fonts:
        fonts = [fonts[i] for i in np.linspace(0, len(fonts) - 1, min(args.fonts, len(fonts))).astype(int)]
    if args.save and len(fonts) < ENOUGH:
        print(f"train.py: {len(fonts)} fonts; the network in models/ needs {ENOUGH} or more", file=sys.stderr)
    (out / "fonts.txt").write_text("".join(f"{f}\n" for f in fonts), encoding="utf-8")
    imdb = letter_imdb(fonts)
    sets = imdb.images.set
    print(
        f"{len(fonts)} fonts, listed in {out / 'fonts.txt'}: {np.sum(sets == 1)} letters to train on, "
        f"{np.sum(sets == 2)} of other fonts to validate"
    )

    if args.save:
        sans = next(f for f in found if f.name == "DejaVuSans.ttf")
        Image.fromarray(Pen(sans).line(TEXT)).save(Path(args.save) / "sentence.png")

    for name in ("plain", "jitter"):
        net, stats = train(imdb, args.epochs, name == "jitter", out / name)
        print(stats_table(stats))
        print(pcn.vl_simplenn_display(with_momentum(net, out / name), style="classic")[1])
        reading = read_sentence(net, args.sentence)
        (out / f"sentence-{name}.txt").write_text(f"{reading.columns}\n{reading.text}\n", encoding="utf-8")
        draw_boxes(args.sentence, reading.boxes).save(out / f"sentence-{name}.png")
        print(f"{name}: validation error {100 * stats.val[-1].top1err:.2f} %")
        print(f"  columns  {reading.columns}\n  text     {reading.text}\n  written  {TEXT}")
    filters = view.filters(net, 0)
    Image.fromarray(np.uint8(255 * np.kron(filters, np.ones((8, 8))))).save(out / "filters.png")
    if args.save:
        pcn.save(Path(args.save) / "letters.mat", pcn.SimpleNN(layers=net.layers[:-1], meta=net.meta))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folders", nargs="*", help="folders of .ttf and .otf fonts (default: those installed)")
    parser.add_argument("--fonts", type=int, help="use this many of them")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--out", default="data/ocr", help="folder for all results")
    parser.add_argument("--sentence", default=SENTENCE, help="image of a line to read, 32 pixels high")
    parser.add_argument(
        "--save", metavar="FOLDER", help="write letters.mat (trained with jitter) and sentence.png there"
    )
    return parser.parse_args()


def train(imdb: pcn.Struct, epochs: int, jittered: bool, folder: Path) -> tuple[pcn.SimpleNN, pcn.Struct]:
    """The network trained on the letters, and its statistics."""
    net = models.build("ocr", seed=0)
    mean = float(imdb.images.data[..., imdb.images.set == 1].mean())
    net.meta.classes = pcn.Struct(name=imdb.meta.classes, description=imdb.meta.classes)
    net.meta.normalization = pcn.Struct(imageSize=np.array([[32.0, 32, 1]]), averageImage=np.float32(mean))
    net.meta.fonts = float(imdb.meta.fonts)

    def get_batch(imdb, batch):
        images = imdb.images.data[..., batch].astype(np.float32)
        if jittered and np.all(imdb.images.set[batch] == 1):
            images = change(images)
        return images - np.float32(mean), imdb.images.labels[batch]

    change = jitter.compose(jitter.scale(0.85, 1.1), jitter.context)
    return pcn.cnn_train(
        net,
        imdb,
        get_batch,
        expDir=folder,
        batchSize=100,
        numEpochs=epochs,
        learningRate=[0.001] * (epochs - epochs // 3) + [0.0001] * (epochs // 3),
    )


def with_momentum(net: pcn.SimpleNN, folder: Path) -> pcn.SimpleNN:
    """The network as checkpoints of 2014 held it, and the slides show it: each layer with its momentum, no loss."""
    last = max(folder.glob("net-epoch-*.mat"), key=lambda p: int(p.stem.split("-")[-1]))
    momentum = pcn.load_checkpoint(last).state.solverState
    layers = [pcn.Struct(layer, momentum=m) for layer, m in zip(net.layers, momentum)]
    for layer in layers:
        del layer.learningRate, layer.weightDecay
    return pcn.SimpleNN(layers=layers[:-1], meta=net.meta)


if __name__ == "__main__":
    main()
