"""vl_nnnormalize beyond MatConvNet's cases."""

import numpy as np

import pyconvnet as pcn


def test_lrn_has_the_exact_power_where_precision_is_high():
    random = np.random.default_rng(0)
    try:
        for dtype, tolerance in ((np.float32, 1e-6), (np.float64, 1e-14)):
            x = random.standard_normal((3, 4, 20, 2)).astype(dtype)
            sums = np.stack([(x[:, :, max(c - 2, 0) : c + 3].astype(float) ** 2).sum(2) for c in range(20)], 2)
            want = x * (1 + 0.3 * sums) ** -0.75
            errors = []
            for precision in ("fast", "high"):
                pcn.set_precision(precision)
                errors.append(np.abs(pcn.vl_nnnormalize(x, [5, 1, 0.3, 0.75]) / want - 1).max())
            assert errors[1] < tolerance < 1e-3 < errors[0] < 4e-3
    finally:
        pcn.set_precision("fast")


def test_a_window_wider_than_all_channels_holds_them_all():
    x = np.random.default_rng(0).standard_normal((2, 3, 5, 2)).astype(np.float32)
    wide, all_of_them = (pcn.vl_nnnormalize(x, [n, 1.0, 0.5, 0.75]) for n in (2**31, 9))
    np.testing.assert_array_equal(wide, all_of_them)
    wide, all_of_them = (pcn.vl_nnnormalize(x, [n, 1.0, 0.5, 0.75], x) for n in (2**31, 9))
    np.testing.assert_array_equal(wide, all_of_them)
