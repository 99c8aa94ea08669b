"""Fonts to draw letters with: those installed, those that come with matplotlib, and any folder that is given.

python examples/ocr/fonts.py [FOLDER ...]      lists and counts the fonts that have the letters a-z
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

LETTERS = "abcdefghijklmnopqrstuvwxyz"
# Fonts of matplotlib that have signs of formulas in the places of letters.
SYMBOLS = {"cmex10.ttf", "cmsy10.ttf"}
SYSTEM = ["/usr/share/fonts", "/usr/share/texmf/fonts", "/usr/local/share/fonts", "/Library/Fonts", "C:/Windows/Fonts"]


def find(folders: list[str] | None = None) -> list[Path]:
    """Font files with 26 different lower-case letters, each look once, sorted by name."""
    where = [Path(f) for f in (folders or [*SYSTEM, *_of_matplotlib()])]
    found = (p for folder in where if folder.is_dir() for p in folder.rglob("*"))
    files = {p for p in found if p.suffix.lower() in (".ttf", ".otf") and p.name not in SYMBOLS}
    seen, good = set(), []
    for path in sorted(files, key=lambda p: (p.name, str(p))):
        look = _look(path)
        if look is not None and look not in seen:
            seen.add(look)
            good.append(path)
    return good


def _of_matplotlib() -> list[str]:
    try:
        import matplotlib
    except ImportError:
        return []
    return [str(Path(matplotlib.get_data_path()) / "fonts" / "ttf")]


def _look(path: Path) -> bytes | None:
    """The letters drawn by a font, or None where some are missing, empty, alike or capitals in disguise."""
    try:
        font = ImageFont.truetype(str(path), 24)
        drawn = [_drawn(font, c) for c in LETTERS]
        missing = _drawn(font, "\uffff")
        capitals = [_drawn(font, c.upper()) for c in LETTERS]
    except (OSError, ValueError):
        return None
    if len(set(drawn)) < 26 or missing in drawn or sum(a == b for a, b in zip(drawn, capitals)) > 8:
        return None
    return b"".join(drawn)


def _drawn(font: ImageFont.FreeTypeFont, text: str) -> bytes:
    image = Image.new("L", (40, 48))
    ImageDraw.Draw(image).text((6, 8), text, 255, font)
    return image.tobytes()


if __name__ == "__main__":
    found = find(sys.argv[1:])
    for path in found:
        print(path)
    print(f"{len(found)} fonts")
