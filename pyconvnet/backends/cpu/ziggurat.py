"""Normally distributed numbers as MATLAB's randn makes them of the words of a Mersenne twister.

Marsaglia and Tsang, The ziggurat method for generating random variables, 2000, with 256 layers of equal area, of which
layer 0 includes the tail. The twister is that of Matsumoto and Nishimura, 1998; its state is numpy's: 624 words and how
many of them are used up.
"""

from __future__ import annotations

from math import erfc, exp, log, pi, sqrt

import numpy as np

from pyconvnet.backends.cpu.compiled import inner, parallel
from pyconvnet.threads import parallel_region

RIGHT = 3.6541528853610088  # where the tail begins


def _layers() -> tuple[np.ndarray, np.ndarray]:
    """Right end of each layer, from the widest to 0, and the height of exp(-x^2 / 2) there.

    MATLAB keeps the ends to 15 digits: so made, they give every digit of the first values that its manual prints, where
    exact ends are off by up to 1.4e-14 of a value.
    """
    x, f = np.zeros(257), np.zeros(257)
    x[1], f[1] = RIGHT, exp(-0.5 * RIGHT * RIGHT)
    area = RIGHT * f[1] + sqrt(pi / 2) * erfc(RIGHT / sqrt(2))
    x[0] = area / f[1]
    for i in range(1, 255):
        f[i + 1] = area / x[i] + f[i]
        x[i + 1] = sqrt(-2 * log(f[i + 1]))
    f[256] = 1
    return np.array([float(f"{v:.15g}") for v in x]), f


ENDS, HEIGHTS = _layers()


@inner
def _twisted(key, k, next, far):
    """The word that follows key[k] a round later."""
    y = (int(key[k]) & 0x80000000) | (int(key[next]) & 0x7FFFFFFF)
    return int(key[far]) ^ (y >> 1) ^ ((y & 1) * 0x9908B0DF)


@inner
def _word(key, place):
    """The next 32 bits; place[0] says how many words of the state are used up."""
    if place[0] >= 624:
        for k in range(227):
            key[k] = _twisted(key, k, k + 1, k + 397)
        for k in range(227, 623):
            key[k] = _twisted(key, k, k + 1, k - 227)
        key[623] = _twisted(key, 623, 0, 396)
        place[0] = 0
    y = int(key[place[0]])
    place[0] += 1
    y ^= y >> 11
    y ^= (y << 7) & 0x9D2C5680
    y ^= (y << 15) & 0xEFC60000
    return y ^ (y >> 18)


@inner
def _uniform(key, place):
    """rand: 53 bits of two words."""
    a = _word(key, place) >> 5
    b = _word(key, place) >> 6
    return (a * 67108864 + b) / 9007199254740992.0


def normal(key: np.ndarray, place: np.ndarray, out: np.ndarray) -> None:
    """Fill `out`. key: 624 words; place: [words used up], both moved on."""
    with parallel_region():
        _normal(1, key, place, ENDS, HEIGHTS, out)


@parallel
def _normal(t, threads, key, place, x, f, out):
    for k in range(out.size):
        while True:
            a = _word(key, place)
            b = _word(key, place)
            i = 255 - (b >> 24)
            u = ((a >> 3) * 16777216 + (b & 0xFFFFFF)) / 4503599627370496.0 - 1
            z = u * x[i]
            if abs(z) < x[i + 1]:
                break
            if i > 0:
                if f[i] + _uniform(key, place) * (f[i + 1] - f[i]) < exp(-z * z / 2):
                    break
            else:
                while True:
                    s = -log(_uniform(key, place)) / x[1]
                    r = -log(_uniform(key, place))
                    if 2 * r > s * s:
                        break
                z = x[1] + s if u > 0 else -(x[1] + s)
                break
        out[k] = z
