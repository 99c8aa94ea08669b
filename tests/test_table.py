import math

import pytest

from pyconvnet import table

ROWS = [["a", "x_1", "2"], ["-", "-", "-"], ["ccc", "d", "ee"]]


def test_cells_are_right_aligned_and_rules_fill_their_column():
    assert table.render(ROWS) == "  a|x_1| 2|\n---|---|--|\nccc|  d|ee|\n\n"


def test_a_wide_table_is_cut_and_repeats_its_first_column():
    assert table.render(ROWS, maxNumColumns=1) == "  a|x_1|\n---|---|\nccc|  d|\n\n  a| 2|\n---|--|\nccc|ee|\n\n"


def test_latex_escapes_underscores():
    assert table.render(ROWS, "latex").splitlines()[1:3] == ["  a&x\\char`_1& 2\\\\", "\\hline"]


def test_csv_has_no_rules_and_dagnn_aligns_it():
    assert table.render(ROWS, "csv") == '"a","x_1","2",\n"ccc","d","ee",\n\n'
    assert table.render(ROWS, "csv", formats=table.DAG_FORMATS) == '  "a","x_1", "2",\n"ccc",  "d","ee",\n\n'


@pytest.mark.parametrize(
    "n, text",
    [
        *[(0, "0B"), (1023, "1023B"), (1024, "1KB"), (12288, "12KB"), (1536 * 1024, "2MB"), (3 << 30, "3GB")],
        *[(math.nan, "NaN"), (2.5 * 1024, "2KB")],
    ],
)
def test_memory_is_written_in_the_largest_unit_and_halves_round_to_even(n, text):
    assert table.memory_text(n) == text


def test_numbers_are_written_as_matlab_writes_them():
    assert table.dims_text([3, 3]) == "3"
    assert table.dims_text([0, 1, 0, 1]) == "0x1x0x1"
    assert table.dims_text([math.nan] * 2) == "NaNxNaN"
    assert table.short_text(112.5) == "112.5" and table.short_text(123456) == "1.235e+05"
    assert table.whole_text(32.0) == "32" and table.whole_text(0.5) == "5.000000e-01"
    assert table.whole_text(math.nan) == "NaN"


def test_an_unknown_format_is_refused_with_the_known_ones():
    refusal = "vl_simplenn_display: format must be one of 'ascii', 'latex', 'csv', got 'html'"
    with pytest.raises(ValueError, match=refusal):
        table.render(ROWS, "html", fn="vl_simplenn_display")
    with pytest.raises(ValueError, match="maxNumColumns must be a whole number from 1 up, got 0"):
        table.render(ROWS, maxNumColumns=0)
