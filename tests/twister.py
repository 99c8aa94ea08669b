"""MATLAB's random numbers once more, number by number and written apart from the library, to compare it with."""

from __future__ import annotations

import math

import numpy as np


class Twister:
    """The state after rng(seed)."""

    def __init__(self, seed: int) -> None:
        state = [seed or 5489]
        for i in range(1, 624):
            state.append((1812433253 * (state[-1] ^ (state[-1] >> 30)) + i) % 2**32)
        self.state, self.used = state, 624

    def word(self) -> int:
        if self.used == 624:
            s = self.state
            for i in range(624):
                y = (s[i] & 0x80000000) + (s[(i + 1) % 624] & 0x7FFFFFFF)
                s[i] = s[(i + 397) % 624] ^ (y >> 1) ^ (0x9908B0DF if y % 2 else 0)
            self.used = 0
        y = self.state[self.used]
        self.used += 1
        y ^= y >> 11
        y ^= (y << 7) & 0x9D2C5680
        y ^= (y << 15) & 0xEFC60000
        return y ^ (y >> 18)

    def rand(self) -> float:
        a, b = self.word() >> 5, self.word() >> 6
        return (a * 2**26 + b) / 2**53

    def randn(self) -> float:
        while True:
            a, b = self.word(), self.word()
            layer = 255 - b // 2**24
            u = ((a // 8) * 2**24 + b % 2**24) / 2**52 - 1
            z = u * X[layer]
            if abs(z) < X[layer + 1]:
                return z
            if layer == 0:
                while True:
                    s, t = -math.log(self.rand()) / X[1], -math.log(self.rand())
                    if 2 * t > s * s:
                        return math.copysign(X[1] + s, u)
            low = F[layer] + self.rand() * (F[layer + 1] - F[layer])
            if low < math.exp(-z * z / 2):
                return z

    def randperm(self, n: int) -> list[int]:
        """0-based."""
        keys = [self.rand() for _ in range(n)]
        return sorted(range(n), key=keys.__getitem__)

    def filters(self, *size: int, scale: float) -> np.ndarray:
        """scale * randn(size, 'single')"""
        drawn = np.array([self.randn() for _ in range(math.prod(size))], np.float32)
        return (drawn.astype(float) * scale).astype(np.float32).reshape(size, order="F")

    def mask(self, *size: int, rate: float) -> np.ndarray:
        """Of vl_nndropout."""
        drawn = np.array([self.rand() for _ in range(math.prod(size))]).reshape(size, order="F")
        return np.float32(1 / (1 - rate)) * (drawn >= rate).astype(np.float32)


_AREA = 0.004928673233974655
X = [_AREA / math.exp(-(3.6541528853610087**2) / 2), 3.6541528853610087]
for _ in range(254):
    X.append(math.sqrt(-2 * math.log(_AREA / X[-1] + math.exp(-(X[-1] ** 2) / 2))))
X.append(0.0)
F = [0.0, *(math.exp(-x * x / 2) for x in X[1:])]
