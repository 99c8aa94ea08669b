"""Reading a line of letters with a network that was trained on single ones: the first experiment of the course."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from pyconvnet.models.preprocess import preprocess
from pyconvnet.records import Struct

HERE = Path(__file__).parent
LETTERS = HERE / "letters.mat"
SENTENCE = HERE / "sentence.png"
FN = "read_sentence"


def read_sentence(net: Any, image: Any) -> Struct:
    """Read a line of dark letters on a bright ground: read_sentence(net, image) -> Struct(columns, text, boxes, scores)

    net     a network for 32 x 32 x 1 images of letters, such as models/letters.mat; it runs over the whole line at once
    image   32 x W, 0..255, or the path of one
    columns the best letter in each column of the network's output (every fourth pixel), as the network sees it
    text    the letters read, with spaces
    boxes   (left, right, letter) for each letter, in pixels, right excluded
    scores  26 x columns: probabilities

    A letter is a run of columns with ink in them, and is read where its scores, summed over the columns in its middle,
    are largest; a gap wider than usual is a space. So letters must not touch.

    Raises ValueError for an image that is not one line of at least 32 pixels.
    """
    from pyconvnet.simplenn import SimpleNN, vl_simplenn

    grey = preprocess(Struct(meta=Struct(inputSize=np.array([[1.0, 1, 1]]))), image, resize=False)[:, :, 0, 0]
    if grey.shape[0] != 32 or grey.shape[1] < 32:
        raise ValueError(f"{FN}: image must be 32 x W pixels, W from 32 up, got {grey.shape[0]}x{grey.shape[1]}")
    ground = np.float32(np.median(grey))
    line = np.pad(grey, ((0, 0), (16, 16)), constant_values=ground)
    x = preprocess(net, line, resize=False)
    layers = [layer for layer in net.layers if layer.type not in ("softmaxloss", "softmax")]
    chars = SimpleNN(layers=[*layers, Struct(type="softmax", name="prob", weights=[])], meta=net.meta)
    scores = vl_simplenn(chars, x, mode="test")[-1].x[0, :, :, 0].T
    names = "abcdefghijklmnopqrstuvwxyz"
    columns = "".join(names[k] for k in scores.argmax(axis=0))
    boxes, text = [], ""
    runs = _runs((np.abs(grey - ground) > 0.25 * np.abs(grey - ground).max()).any(axis=0))
    gaps = [b[0] - a[1] for a, b in pairwise(runs)]
    space = 2.5 * float(np.median(gaps)) if gaps else 0.0
    for i, (left, right) in enumerate(runs):
        if i and left - runs[i - 1][1] > max(space, 3):
            text += " "
        # output column k sees the 32 pixels from 4 k on, of the line with 16 pixels more on each side
        centre, reach = (left + right) / 2 / 4, max((right - left) / 16, 0.75)
        near = [k for k in range(scores.shape[1]) if abs(k - centre) <= reach]
        letter = names[int(scores[:, near].sum(axis=1).argmax())]
        boxes.append((left, right, letter))
        text += letter
    return Struct(columns=columns, text=text, boxes=boxes, scores=scores)


def draw_boxes(image: Any, boxes: list[tuple[int, int, str]], zoom: int = 3) -> Any:
    """A picture (of Pillow) of the line, enlarged, with a box around each letter and the letter read above it."""
    from PIL import Image, ImageDraw, ImageFont

    from pyconvnet.images import imread

    grey = Image.fromarray(imread(image) if isinstance(image, (str, Path)) else np.uint8(image)).convert("RGB")
    head = 7 * zoom
    page = Image.new("RGB", (grey.width * zoom, grey.height * zoom + head), "white")
    page.paste(grey.resize((grey.width * zoom, grey.height * zoom)), (0, head))
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(6 * zoom)
    for left, right, letter in boxes:
        pen.rectangle((left * zoom - 1, head, right * zoom, page.height - 2), outline=(200, 30, 30))
        pen.text(((left + right) / 2 * zoom, 0), letter, (200, 30, 30), font, anchor="ma")
    return page


def _runs(ink: np.ndarray) -> list[tuple[int, int]]:
    """(first, end) of each run of True; an i or j whose dot stands apart is one run, as its columns are."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], ink, [False]]).astype(int)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2])]
