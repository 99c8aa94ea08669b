"""Tissue-like textures of four classes: generated pictures, no patient data.

Every simulated patient has a stain (colours), a grain and a brightness of its own, so that a network has to generalise
from patients it was trained on to others. `slide` joins regions of all classes into one large picture with its map.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter

CLASSES = ["epithelium", "stroma", "fat", "necrosis"]


class Patient:
    """Stain and grain of one simulated patient."""

    def __init__(self, number: int) -> None:
        rng = np.random.default_rng(1000 + number)
        self.number = number
        self.nuclei = np.array([90, 60, 140]) + rng.normal(0, 18, 3)
        self.tissue = np.array([215, 130, 175]) + rng.normal(0, 18, 3)
        self.pale = np.array([240, 232, 238]) + rng.normal(0, 6, 3)
        self.size = rng.uniform(0.85, 1.2)
        self.light = rng.uniform(0.88, 1.05)
        self.noise = rng.uniform(4, 10)


def texture(label: int, patient: Patient, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """One picture of a class (1..4), height x width x 3, values 0..255."""
    cover = (_epithelium, _stroma, _fat, _necrosis)[label - 1]
    ground, dark = cover(patient, height, width, rng)
    picture = patient.pale + (patient.tissue - patient.pale) * ground[..., None]
    picture = picture + (patient.nuclei - picture) * dark[..., None]
    picture = (
        patient.light * picture + rng.normal(0, patient.noise, (height, width, 1)) + rng.normal(0, 2, picture.shape)
    )
    return np.clip(picture, 0, 255).astype(np.float32)


def _spots(shape, spacing, radius, rng):
    """Soft discs at about one per spacing^2 pixels."""
    seeds = np.ones(shape, bool)
    count = max(1, int(seeds.size / spacing**2))
    seeds[rng.integers(0, shape[0], count), rng.integers(0, shape[1], count)] = False
    return 1 / (1 + np.exp(2.0 * (distance_transform_edt(seeds) - radius)))


def _epithelium(p, h, w, rng):
    return 0.75 + 0.1 * _waves((h, w), 6, rng), _spots((h, w), 7.5 * p.size, 2.2 * p.size, rng)


def _stroma(p, h, w, rng):
    angle = rng.uniform(0, np.pi)
    y, x = np.mgrid[:h, :w]
    along = x * np.cos(angle) + y * np.sin(angle) + 5 * _waves((h, w), 12, rng)
    fibres = 0.55 + 0.35 * np.sin(2 * np.pi * along / (6.0 * p.size))
    return np.clip(fibres, 0, 1), 0.8 * _spots((h, w), 18 * p.size, 1.6 * p.size, rng)


def _fat(p, h, w, rng):
    seeds = np.ones((h, w), bool)
    count = max(2, int(h * w / (15 * p.size) ** 2))
    seeds[rng.integers(0, h, count), rng.integers(0, w, count)] = False
    far = distance_transform_edt(seeds, return_distances=False, return_indices=True)
    cell = far[0] * w + far[1]
    wall = (cell != np.roll(cell, 1, 0)) | (cell != np.roll(cell, 1, 1))
    return np.clip(2.2 * gaussian_filter(wall.astype(float), 0.8 * p.size), 0, 0.8), np.zeros((h, w))


def _necrosis(p, h, w, rng):
    return np.clip(0.6 + 0.35 * _waves((h, w), 4, rng), 0, 1), 0.55 * _spots((h, w), 6.5 * p.size, 0.9 * p.size, rng)


def _waves(shape, scale, rng):
    field = gaussian_filter(rng.normal(0, 1, shape), scale, mode="wrap")
    return field / (np.abs(field).max() or 1.0)


def border(label: int, other: int, patient: Patient, size: int, rng: np.random.Generator) -> np.ndarray:
    """A patch of one class with up to 40 % of another at one side, as at the perimeter of a region."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    angle, depth = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.3) * size
    outside = x * np.cos(angle) + y * np.sin(angle) > depth
    a, b = (texture(k, patient, size, size, rng) for k in (label, other))
    return np.where(outside[..., None], b, a)


def database(patients: int = 16, each: int = 12, size: int = 32, seed: int = 0) -> dict:
    """An imdb: `each` patches of every class and patient, and a third as many from the perimeter (images.perimeter)."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(patients):
        patient = Patient(number)
        for label in range(1, 5):
            rows += [(texture(label, patient, size, size, rng), label, number, False) for _ in range(each)]
            for _ in range(each // 3):
                other = (label + rng.integers(0, 3)) % 4 + 1
                rows.append((border(label, int(other), patient, size, rng), label, number, True))
    pictures, labels, groups, perimeter = zip(*rows)
    data = np.stack(pictures, axis=3) - np.float32(128)
    perimeter = np.array(perimeter)
    images = {
        "data": data / np.float32(128),
        "labels": np.array(labels),
        "set": np.where(perimeter, 3, 1),
        "patient": np.array(groups),
        "perimeter": perimeter,
    }
    return {"images": images, "meta": {"classes": CLASSES, "sets": ["train", "val", "perimeter"]}}


def slide(patient: Patient, size: int = 256, seed: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """(picture, classes): regions of all four classes in one picture, values scaled as in `database`."""
    rng = np.random.default_rng(seed)
    centres = rng.uniform(0.1, 0.9, (8, 2)) * size
    y, x = np.mgrid[:size, :size]
    distance = np.stack([(y - cy) ** 2 + (x - cx) ** 2 for cy, cx in centres])
    classes = distance.argmin(axis=0) % 4 + 1
    layers = np.stack([texture(k, patient, size, size, rng) for k in range(1, 5)])
    picture = np.take_along_axis(layers, (classes - 1)[None, ..., None], axis=0)[0]
    return (picture - np.float32(128)) / np.float32(128), classes
