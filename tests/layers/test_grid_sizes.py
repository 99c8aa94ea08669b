"""A sampling grid whose size, as files may have it, is not a number of points."""

import pytest

from pyconvnet import dagnn


@pytest.mark.parametrize("size", [float("inf"), float("nan"), -1, 2.5, 1e9, "three"])
def test_it_is_refused_by_name(size):
    with pytest.raises(ValueError, match="AffineGridGenerator: Ho must be a whole number of points"):
        dagnn.AffineGridGenerator(Ho=size, Wo=3).getOutputSizes([(1, 1, 6, 2)])
