"""Peaks of class maps, and where they are in the image."""

import numpy as np
import pytest
from support import ROOT

import pyconvnet as pcn
from pyconvnet import view
from pyconvnet.records import Struct

SHARED = ROOT.parent / "shared" / "models" / "cones"


def brute(values, threshold):
    """Pixels higher than all of their neighbours."""
    found = []
    for r, c in np.ndindex(*values.shape):
        around = values[max(r - 1, 0) : r + 2, max(c - 1, 0) : c + 2]
        if (around < values[r, c]).sum() == around.size - 1 and values[r, c] >= threshold:
            found.append((r, c, values[r, c]))
    return sorted(found, key=lambda p: -p[2])


@pytest.mark.parametrize("shape", [(20, 30), (1, 9), (9, 1), (1, 1)])
def test_they_are_the_pixels_higher_than_their_neighbours_highest_first(shape):
    values = np.random.default_rng(0).random(shape)
    assert [tuple(p) for p in view.peaks(values, 0.6)] == brute(values, 0.6)
    assert len(view.peaks(values)) == len(brute(values, -1))


def test_a_plateau_is_one_peak_in_its_middle_unless_it_is_a_step_of_a_slope():
    flat = np.zeros((7, 9))
    flat[2:4, 3:6] = 1
    assert view.peaks(flat, 0.5).tolist() == [[2.5, 4, 1]]
    step = flat.copy()
    step[3, 6] = 2
    assert view.peaks(step, 0.5).tolist() == [[3, 6, 2]]
    long = np.zeros((1, 9))
    long[0, 2:7] = 1
    long[0, 7] = 2
    assert view.peaks(long, 0.5).tolist() == [[0, 7, 2]]
    assert view.peaks(np.ones((3, 5))).tolist() == [[1, 2, 1]]


def test_of_near_peaks_the_highest_stays():
    values = np.zeros((9, 20))
    values[4, [2, 5, 8, 14]] = 3, 4, 5, 1
    assert view.peaks(values, 0.5, 3)[:, 1].tolist() == [8, 5, 2, 14]
    assert view.peaks(values, 0.5, 3.01)[:, 1].tolist() == [8, 2, 14]
    assert view.peaks(values, 0.5, 7)[:, 1].tolist() == [8]
    assert view.peaks(values, 0.5, 6)[:, 1].tolist() == [8, 2, 14]


def test_blurring_joins_noise_and_a_border_is_left_out():
    rng = np.random.default_rng(1)
    rows, columns = np.mgrid[:60, :80]
    values = sum(np.exp(-((rows - r) ** 2 + (columns - c) ** 2) / 18) for r, c in ((10, 12), (30, 60), (57, 40)))
    noisy = values + 0.1 * rng.standard_normal(values.shape)
    assert len(view.peaks(noisy, 0.5)) > 3
    found = view.peaks(noisy, 0.4, blur=2)
    assert len(found) == 3 and np.abs(np.sort(found[:, 0]) - [10, 30, 57]).max() <= 1
    assert sorted(view.peaks(noisy, 0.4, blur=2, border=6)[:, 0].round(-1)) == [10, 30]
    assert view.peaks(np.eye(4)[:1] + 1, border=0).tolist() == [[0, 0, 2]]


def test_a_channel_is_chosen_as_labels_count_and_images_come_one_by_one():
    values = np.random.default_rng(2).random((6, 7, 3, 2)).astype(np.float32)
    found = view.peaks(values, 0.8, label=2)
    assert len(found) == 2
    for i in range(2):
        assert np.array_equal(found[i], view.peaks(values[:, :, 1, i], 0.8))
    assert np.array_equal(view.peaks(values[..., :1], 0.8, label=3), view.peaks(values[:, :, 2, 0], 0.8))


def test_nan_is_no_score_and_nothing_gives_no_peak():
    values = np.full((4, 5), np.nan)
    assert view.peaks(values).shape == (0, 3)
    values[1, 2] = -1
    assert view.peaks(values).tolist() == [[1, 2, -1]]
    assert view.peaks(values, 0).shape == view.peaks(np.zeros((0, 5))).shape == (0, 3)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: view.peaks(np.zeros(3)), "map must be numbers H x W, H x W x C or H x W x C x N, got float64 of 3"),
        (lambda: view.peaks(np.zeros((3, 3)), label=2), "label is 2, map has 1 channels"),
        (lambda: view.peaks(np.zeros((3, 3)), 0.5, -1), "distance must be one number from 0 up, got -1"),
        (lambda: view.peaks(np.zeros((3, 3)), [1, 2]), r"threshold must be one number, got \[1, 2\]"),
        (lambda: view.image_coordinates(detector(), [1, 2]), "points must be P x 2 or more, got 2"),
        (lambda: view.image_coordinates(detector(), [[1, 2]], "conv9"), "got 'conv9'; there are"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def detector():
    """What looks for 5 x 5 crosses: its map has a stride of 2, and no pad."""
    pattern = np.zeros((5, 5, 1, 1), np.float32)
    pattern[2], pattern[:, 2] = 1, 1
    layers = [
        Struct(type="conv", name="cross", weights=[pattern - pattern.mean(), np.zeros(1, np.float32)]),
        Struct(type="relu", name="relu"),
        Struct(type="pool", name="pool", pool=[2, 2], stride=2, pad=0, method="max"),
        Struct(type="softmaxloss", name="loss"),
    ]
    return pcn.vl_simplenn_tidy(pcn.SimpleNN(layers=layers))


def test_peaks_of_a_map_are_found_again_in_the_image():
    centres = [(10, 13), (40, 20), (25, 50)]
    image = np.zeros((60, 70), np.float32)
    for r, c in centres:
        image[r, c - 2 : c + 3] = image[r - 2 : r + 3, c] = 1
    net = detector()
    for one in (net, pcn.DagNN.fromSimpleNN(net)):
        points = view.peaks(pcn.predict(one, image), 5)
        assert len(points) == 3
        found = view.image_coordinates(one, points)
        assert np.array_equal(found[:, 2], points[:, 2])
        nearest = [min(np.abs(np.subtract(p[:2], c)).max() for p in found) for c in centres]
        assert max(nearest) <= 0.5, "the stride of 2 leaves half a pixel"
    assert view.image_coordinates(net, [[3, 4]], "cross").tolist() == [[5, 6]]
    graph = pcn.DagNN.fromSimpleNN(net)
    assert view.image_coordinates(graph, [[3, 4]], "x1").tolist() == [[5, 6]]
    assert view.image_coordinates(graph, [[3, 4]], "cross").tolist() == [[5, 6]]


@pytest.mark.skipif(not SHARED.is_dir(), reason="the published cone detector is not here")
def test_cones_in_the_published_maps_are_as_far_apart_as_cones_are():
    """Cones of the human retina lie in a mosaic: no two at one place, and each has neighbours of about one distance."""
    from scipy.spatial import cKDTree

    from pyconvnet.formats.mat import matfile

    for i in (1, 2, 3):
        probability = matfile.read(SHARED / f"image{i}.map.mat")["Cone_Probability"]
        points = view.peaks(probability, 0.5, blur=2, distance=4)
        assert 20 < len(points) < probability.size / 50
        gaps = cKDTree(points[:, :2]).query(points[:, :2], 2)[0][:, 1]
        assert gaps.min() >= 4 and np.std(gaps) < 0.25 * np.mean(gaps)
