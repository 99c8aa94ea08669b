"""What tests of several commands need."""

import pytest
from support import ROOT

import pyconvnet as pcn


@pytest.fixture
def letter(tmp_path):
    """An image of an m, 32 x 32."""
    Image = pytest.importorskip("PIL.Image")
    image = pcn.images.imread(ROOT / "models" / "sentence.png")
    path = tmp_path / "letter.png"
    Image.fromarray(image[:, 694:726]).save(path)
    return path
