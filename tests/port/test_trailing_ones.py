"""Values of MatConvNet's functions, H x W x C x N, mean what they mean in MATLAB, which drops the ones at the end."""

import numpy as np
import pytest

from pyconvnet.compat import matlab as ml
from pyconvnet.port import runtime as rt

SCALARS = [np.full((1, 1, 1, 1), v, t) for v, t in ((2.5, float), (-3, np.float32), (1, bool), (7, np.uint8))]
ROW, PAGES, COLUMN = (np.arange(3.0).reshape(size) for size in ((1, 3, 1, 1), (1, 1, 3, 1), (3, 1, 1, 1)))
OTHERS = [ROW, ROW.astype(np.uint8), PAGES, PAGES > 1, COLUMN, COLUMN.astype(np.float32), np.zeros((0, 3, 1, 1))]


def as_in_matlab(x):
    """The same without ones at the end."""
    shape = x.shape[: max([2, *(i + 1 for i, n in enumerate(x.shape) if n != 1)])]
    return x.reshape(shape) if x.size != 1 else x.item() if x.dtype in (float, bool) else x.reshape(-1)[0]


def same(a, b):
    assert type(a) is type(b)
    if isinstance(a, np.ndarray):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
    assert np.array_equal(a, b)


@pytest.mark.parametrize("x", [*SCALARS, *OTHERS], ids=lambda x: f"{x.dtype}-{x.shape}")
def test_ones_at_the_end_change_nothing(x, capsys):
    y = as_in_matlab(x)
    for f in (rt.size, rt.numel, rt.ndims, rt.length, rt.isempty, rt.isscalar, rt.isvector, rt.ismatrix, rt.class_):
        same(f(x), f(y))
    for f in (rt.abs, rt.round, rt.colon, rt.sort, rt.not_, rt.uminus, rt.row, rt.int2str, ml.num2str):
        same(f(x), f(y))
    for v in (x, y):
        same(ml.sprintf("%d,", v), ml.sprintf("%d,", y))
        rt.disp(v)
        rt.display("v", v)
        rt.disp([v, 1.0])
        rt.disp(rt.struct("field", v))
    printed = capsys.readouterr().out
    assert printed[: len(printed) // 2] == printed[len(printed) // 2 :]
    if np.ndim(y) < 3:
        for f in (ml.mat2str, rt.transpose, rt.ctranspose):
            same(f(x), f(y))


@pytest.mark.parametrize("x, text", [*zip(SCALARS, ["2.5", "-3", "true", "7"])])
def test_mat2str_writes_a_number(x, text):
    assert ml.mat2str(x) == text


def test_mat2str_refuses_more_dimensions_as_matlab_does():
    assert ml.mat2str(COLUMN) == "[0;1;2]" and ml.mat2str(ROW) == "[0 1 2]"
    with pytest.raises(ValueError, match="mat2str: A must have two dimensions, got 3"):
        ml.mat2str(PAGES)


@pytest.mark.parametrize("x, shown", [*zip(SCALARS, ["    2.5000", "    -3", "   1", "   7"])])
def test_disp_writes_a_number(x, shown, capsys):
    rt.disp(x)
    assert capsys.readouterr().out == shown + "\n"


def test_int2str_takes_logicals():
    assert (rt.int2str(True), rt.int2str(SCALARS[2]), rt.round(True)) == ("1", "1", 1.0)
