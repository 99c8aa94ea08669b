"""The CIFAR-10 example in short: small .bin files, one epoch, the preparation of the images."""

import runpy

import numpy as np
import pytest
from support import ROOT, script

import pyconvnet as pcn

TRAIN = ROOT / "examples" / "cifar" / "train.py"
CLASSES = "airplane automobile bird cat deer dog frog horse ship truck".split()


@pytest.fixture(scope="module")
def example():
    return runpy.run_path(str(TRAIN))


@pytest.fixture
def bin_files(tmp_path):
    """The folder of CIFAR-10 with 20 images in each file."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        labels = np.arange(20, dtype=np.uint8)[:, None] % 10
        pixels = rng.integers(0, 256, (20, 3072), np.uint8)
        (folder / f"{name}.bin").write_bytes(np.hstack([labels, pixels]).tobytes())
    (folder / "batches.meta.txt").write_text("\n".join(CLASSES) + "\n\n")
    return folder


@pytest.mark.parametrize(
    "model, network, table",
    [("lenet", "simplenn", "layer12|"), ("lenet", "dagnn", "32x32x3x100"), ("nin", "simplenn", "relu_cccp1|")],
)
def test_a_short_training_shows_the_table_and_the_stats(bin_files, tmp_path, model, network, table):
    options = ["--model", model, "--network", network, "--epochs", "1", "--no-whitening", "--out", tmp_path / "out"]
    done = script(TRAIN, "--data", tmp_path, *options)
    assert done.returncode == 0, done.stderr[-2000:]
    assert table in done.stdout and "val objective" in done.stdout
    stats = pcn.load_checkpoint(tmp_path / "out" / "net-epoch-1.mat").stats
    assert stats.train.num == 100 and stats.val.num == 20 and np.isfinite(stats.val.objective)
    assert list(pcn.load(tmp_path / "out" / "net-epoch-1.mat").meta.classes.name) == CLASSES


def test_files_are_read_as_height_width_colour_image(example, bin_files):
    content = (bin_files / "data_batch_2.bin").read_bytes()
    images, labels = example["read_batch"](bin_files / "data_batch_2.bin")
    assert images.shape == (32, 32, 3, 20) and labels.tolist() == 2 * list(range(1, 11))
    for row, column, colour, image in [(0, 0, 0, 0), (0, 1, 0, 0), (1, 0, 0, 0), (5, 7, 2, 3), (31, 31, 1, 19)]:
        assert images[row, column, colour, image] == content[3073 * image + 1 + 1024 * colour + 32 * row + column]


def test_images_are_centred_on_the_training_mean(example, bin_files):
    imdb = example["cifar_imdb"](bin_files, contrast=False, whitening=False)
    assert imdb.images.data.dtype == np.float32 and imdb.images.set.tolist() == 100 * [1] + 20 * [3]
    assert abs(imdb.images.data[..., :100].mean(axis=3)).max() < 1e-3
    original, _ = example["read_batch"](bin_files / "test_batch.bin")
    shift = original - imdb.images.data[..., 100:]
    assert abs(np.ptp(shift, axis=3)).max() < 1e-3


def test_contrast_is_normalised_image_by_image(example):
    rng = np.random.default_rng(0)
    data = np.float32(rng.standard_normal((4, 4, 3, 6)) * [5, 20, 60, 80, 100, 120] + 30)
    found = example["normalize_contrast"](data)
    deviation = data.reshape(48, 6).std(axis=0, ddof=1)
    for i in range(6):
        one = data[..., i] - data[..., i].mean()
        assert np.allclose(found[..., i], one * deviation.mean() / max(deviation[i], 40), atol=1e-3)


def test_whitening_leaves_training_pixels_uncorrelated(example):
    rng = np.random.default_rng(0)
    mixed = rng.standard_normal((48, 48)) @ np.diag(np.geomspace(1, 300, 48)) @ rng.standard_normal((48, 400))
    data = np.float32(mixed.reshape(4, 4, 3, 400))
    train = np.arange(400) < 300
    found = example["whiten"](data, train)
    assert found.shape == data.shape and found.dtype == np.float32

    def pixels(images):
        return images.reshape(48, -1, order="F").astype(float)

    def covariance(images):
        return pixels(images)[:, train] @ pixels(images)[:, train].T / 400

    before, after = covariance(data), covariance(found)
    d2, v = np.linalg.eigh(before)
    expected = d2 * d2.mean() / np.maximum(np.sqrt(d2), 10) ** 2
    assert (d2 < 100).any() and (d2 > 100).any()
    assert np.allclose(v.T @ after @ v, np.diag(expected), atol=2e-3 * expected.max())
    # the axes stay: ZCA is symmetric
    w = pixels(found) @ np.linalg.pinv(pixels(data))
    assert np.allclose(w, w.T, atol=1e-2 * abs(w).max())


def test_missing_and_broken_files_are_named_in_one_line(bin_files, tmp_path):
    def refusal():
        done = script(TRAIN, "--data", tmp_path, "--out", tmp_path / "out")
        assert done.returncode == 1 and "Traceback" not in done.stderr
        return done.stderr

    with open(bin_files / "data_batch_3.bin", "ab") as file:
        file.write(b"more")
    assert "data_batch_3.bin has 61464 bytes, not a multiple of 3073" in refusal()
    (bin_files / "data_batch_3.bin").unlink()
    assert "no data_batch_3.bin in" in refusal()
    assert not (tmp_path / "out").exists()
