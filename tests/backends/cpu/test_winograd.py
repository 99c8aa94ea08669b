"""Winograd's matrices are exact."""

from fractions import Fraction

import numpy as np

from pyconvnet.backends.cpu.llvm import winograd

VARIANTS = ((2, 3), (4, 3), (2, 5))


def test_winograds_matrices_compute_a_correlation_exactly():
    for m, r in VARIANTS:
        at, g, bt = (np.array(a, dtype=object) for a in winograd.matrices(m, r))
        d = np.array([Fraction(i * i - 3 * i + 1) for i in range(m + r - 1)], dtype=object)
        taps = np.array([Fraction(2), Fraction(-1, 3), Fraction(5), Fraction(1, 7), Fraction(-4)][:r], dtype=object)
        y = at @ ((g @ taps) * (bt @ d))
        assert y.tolist() == [sum(d[i + j] * taps[j] for j in range(r)) for i in range(m)]


def test_the_shared_sums_are_the_rows_of_the_matrix():
    names = [f"d{i}" for i in range(6)]
    known = {name: np.eye(6, dtype=int)[i].astype(object) for i, name in enumerate(names)}
    sums, rows = winograd.shared(names)
    for name, terms in sums:
        known[name] = sum(factor * known[value] for value, factor in terms.items())
    found = [sum(factor * known[value] for value, factor in terms.items()).tolist() for terms in rows]
    assert found == winograd.matrices(4, 3)[2] == winograd.matrices(2, 5)[2]
