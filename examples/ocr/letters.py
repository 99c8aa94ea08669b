"""Images of letters, 32 x 32 pixels each, the imdb made of them, and a line of text to read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from fonts import LETTERS
from PIL import Image, ImageDraw, ImageFont

from pyconvnet import Struct

SIDE = 32


class Pen:
    """Writes with a font, in a size at which the letters a-z fill 0.8 of a line of SIDE pixels, on one base line."""

    def __init__(self, path: Path) -> None:
        font = ImageFont.truetype(str(path), 64)
        _, top, _, bottom = font.getbbox(LETTERS)
        self.font = ImageFont.truetype(str(path), max(8, round(64 * 0.8 * SIDE / (bottom - top))))
        _, top, _, bottom = self.font.getbbox(LETTERS)
        self.top = round((SIDE - (bottom - top)) / 2) - top

    def letter(self, letter: str) -> np.ndarray:
        """A letter in the middle of SIDE x SIDE pixels."""
        left, _, right, _ = self.font.getbbox(letter)
        image = Image.new("L", (SIDE, SIDE), 255)
        ImageDraw.Draw(image).text((round((SIDE - (right - left)) / 2) - left, self.top), letter, 0, self.font)
        return np.asarray(image)

    def line(self, text: str, gap: int = 2, space: int = 10) -> np.ndarray:
        """Text as SIDE x W pixels, `gap` pixels between the inks of letters."""
        boxes = [(0, 0, space, 0) if c == " " else self.font.getbbox(c) for c in text]
        image = Image.new("L", (sum(b[2] - b[0] + gap for b in boxes) + 12, SIDE), 255)
        pen, at = ImageDraw.Draw(image), 6
        for c, box in zip(text, boxes):
            if c != " ":
                pen.text((at - box[0], self.top), c, 0, self.font)
            at += box[2] - box[0] + gap
        return np.asarray(image)


def letter_imdb(fonts: list[Path], seed: int = 0) -> Struct:
    """The letters a-z of all fonts: a fifth of the fonts is set 2 (validation), the others are set 1.

    images.data 32 x 32 x 1 x N uint8, images.labels 1..26, images.set, meta.
    """
    held = set(np.random.default_rng(seed).permutation(len(fonts))[: max(1, len(fonts) // 5)].tolist())
    images = [Pen(path).letter(c) for path in fonts for c in LETTERS]
    return Struct(
        images=Struct(
            data=np.stack(images, axis=-1)[:, :, None, :],
            labels=np.tile(np.arange(1, 27, dtype=np.float32), len(fonts)),
            set=np.repeat([2 if i in held else 1 for i in range(len(fonts))], 26),
        ),
        meta=Struct(sets=["train", "val"], classes=list(LETTERS), fonts=len(fonts)),
    )
