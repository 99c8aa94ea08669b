"""sprintf, num2str, mat2str, strsplit, strjoin, regexp: what MATLAB writes."""

import io

import numpy as np
import pytest

from pyconvnet import Struct
from pyconvnet.compat.matlab import (
    fprintf,
    mat2str,
    num2str,
    regexp,
    regexpi,
    regexprep,
    sprintf,
    strjoin,
    strsplit,
)


@pytest.mark.parametrize(
    "arguments, text",
    [
        (("net-epoch-%d.mat", 7), "net-epoch-7.mat"),
        (("%s: epoch %02d: %3d/%3d:", "train", 1, 5, 10), "train: epoch 01:   5/ 10:"),
        (("%d", 1.5), "1.500000e+00"),
        (("%i", np.pi), "3.141593e+00"),
        (("%5.2d", 1.5), "1.50e+00"),
        (("%d", 1e10), "10000000000"),
        (("%d,", [1, 2, 3]), "1,2,3,"),
        (("%d %d\n", [[1, 2], [3, 4]]), "1 3\n2 4\n"),
        (("%d and %d.", 1, 2, 3), "1 and 2.3 and "),
        (("%s", "abc"), "abc"),
        (("%s,%d;", "ab", 1, "c", 2), "ab,1;c,2;"),
        (("%d ", "abc"), "97 98 99 "),
        (("%s", 65), "A"),
        (("%s", np.pi), "3.141593e+00"),
        (("%c%c%c", 72, 105, 33), "Hi!"),
        (("%5.1f|%-8s|%+d", 3.14159, "ab", 4), "  3.1|ab      |+4"),
        (("%*d", 5, 3), "    3"),
        (("%.3g %g %e", 0.00012345, 100000, 5), "0.000123 100000 5.000000e+00"),
        (("%g", 1e6), "1e+06"),
        (("%x %o %X", 255, 8, 255), "ff 10 FF"),
        (("%d%%", 50), "50%"),
        (("a\\tb\\\\n",), "a\tb\\n"),
        (("%f %d", np.inf, np.nan), "Inf NaN"),
        (("%5.1f|", -np.inf), " -Inf|"),
        (("%d", True), "1"),
        (("plain",), "plain"),
        (("%d", []), ""),
        (("a%db", []), "ab"),
        (("%6.2f", 1.005), "  1.00"),
        (("%d", np.uint8(200)), "200"),
        (("[%s]", ""), "[]"),
    ],
)
def test_sprintf_writes_what_matlab_writes(arguments, text):
    assert sprintf(*arguments) == text


def test_what_cannot_be_written_is_refused():
    with pytest.raises(TypeError, match="sprintf: values must be numbers or text, got list"):
        sprintf("%s", ["a", Struct()])
    with pytest.raises(ValueError, match="sprintf: the conversion '%y' is not known"):
        sprintf("%y", 1)


def test_fprintf_writes_to_the_screen_or_a_file(capsys):
    fprintf("%d\n", 3)
    fprintf(1, "x%s", "y")
    fprintf(2, "oh\n")
    file = io.StringIO()
    fprintf(file, "%d", 5)
    shown = capsys.readouterr()
    assert shown.out == "3\nxy" and shown.err == "oh\n" and file.getvalue() == "5"
    with pytest.raises(ValueError, match="fprintf: fid must be 1, 2 or an open file, got 7"):
        fprintf(7, "x")


@pytest.mark.parametrize(
    "arguments, text",
    [
        ((np.pi,), "3.1416"),
        ((np.pi, 8), "3.1415927"),
        ((42,), "42"),
        ((-0.5,), "-0.5"),
        ((123.456789,), "123.4568"),
        ((1234567.891,), "1234567.891"),
        ((1.23456e-5,), "1.2346e-05"),
        ((0.1,), "0.1"),
        ((1e10,), "10000000000"),
        ((np.pi, "%10.5e"), "3.14159e+00"),
        (([1, 2, 3],), "1  2  3"),
        (([10, 200],), "10  200"),
        (([-1, 2],), "-1   2"),
        ((True,), "1"),
        ((np.nan,), "NaN"),
        ((-np.inf,), "-Inf"),
        (("text",), "text"),
        ((123456, 3), "1.23e+05"),
        (([0.5, 10.25],), "0.5        10.25"),
    ],
)
def test_num2str_writes_what_matlab_writes(arguments, text):
    assert num2str(*arguments) == text


def test_num2str_of_several_rows_is_a_list_of_texts():
    assert num2str(np.array([[1, 20], [300, 4]])) == ["  1   20", "300    4"]


@pytest.mark.parametrize(
    "arguments, text",
    [
        (([[1, 2], [3, 4]],), "[1 2;3 4]"),
        (([3.85, 2.91],), "[3.85 2.91]"),
        ((np.array([[3.85, 2.91], [7.74, 8.99]]), 2), "[3.9 2.9;7.7 9]"),
        ((np.pi, 4), "3.142"),
        (([True, False],), "[true false]"),
        ((np.array([[192, 168]], np.uint8), "class"), "uint8([192 168])"),
        ((np.zeros((0, 0)),), "zeros(0,0)"),
        (("it's",), "'it''s'"),
        (([np.nan, -np.inf],), "[NaN -Inf]"),
        ((0.1,), "0.1"),
    ],
)
def test_mat2str_writes_what_matlab_reads(arguments, text):
    assert mat2str(*arguments) == text


def test_strsplit_takes_several_delimiters_as_one():
    assert strsplit("The rain in Spain.") == ["The", "rain", "in", "Spain."]
    assert strsplit("1.21, 1.985, 1.955", ", ") == ["1.21", "1.985", "1.955"]
    assert strsplit("a,,b,c", ",") == ["a", "b", "c"]
    assert strsplit("a,,b,c", ",", "CollapseDelimiters", False) == ["a", "", "b", "c"]
    assert strsplit("a\tb", "\\t") == ["a", "b"] and strsplit(",a,", ",") == ["", "a", ""]
    assert strsplit("bet;on-it", ["-", ";"], nargout=2) == (["bet", "on", "it"], [";", "-"])
    assert strsplit("a1b22c", "\\d+", "DelimiterType", "RegularExpression") == ["a", "b", "c"]
    with pytest.raises(ValueError, match="unknown option 'Collapse'; did you mean 'CollapseDelimiters'"):
        strsplit("a", ",", "Collapse", False)
    with pytest.raises(TypeError, match="strsplit: delimiter must be a text or a list of texts, got 3"):
        strsplit("a", 3)
    with pytest.raises(ValueError, match=r"strsplit: the pattern '\(' cannot be read"):
        strsplit("a", "(", "DelimiterType", "RegularExpression")


def test_strjoin_puts_them_together():
    assert strjoin(["Newton", "Gauss", "Euler"]) == "Newton Gauss Euler"
    assert strjoin(["a", "b"], "\\n") == "a\nb" and strjoin(["a", "b", "c"], [" + ", " = "]) == "a + b = c"
    with pytest.raises(ValueError, match="3 parts must have 2 delimiters, got 1"):
        strjoin(["a", "b", "c"], ["-"])
    for parts in (5, "text", ["a", 1]):
        with pytest.raises(TypeError, match="strjoin: parts must be a list of texts"):
            strjoin(parts)
    with pytest.raises(TypeError, match="strjoin: delimiter must be a text or a list of texts, got 3"):
        strjoin(["a", "b"], 3)


def test_regexp_gives_starts_matches_tokens_and_names():
    text = "bat cat can car coat court CUT ct CAT-scan"
    assert regexp(text, "c[aeiou]+t").tolist() == [[5, 17]]
    assert regexpi(text, "c[aeiou]+t", "match") == ["cat", "coat", "CUT", "CAT"]
    assert regexp("net-epoch-12.mat", r"net-epoch-([\d]+).mat", "tokens") == [["12"]]
    assert regexp("net-epoch-12.mat", r"net-epoch-([\d]+).mat", "tokens", "once") == ["12"]
    assert regexp("abc", "x", "tokens") == [] and regexp("abc", "x", "match", "once") == ""
    assert regexp("ab12", r"[a-z]+\d", "tokens") == [["ab1"]]
    assert regexp("01/11/2000", r"(?<month>\d+)/(?<day>\d+)/(?<year>\d+)", "names") == Struct(
        month="01", day="11", year="2000"
    )
    assert [n.k for n in regexp("a=1 b=2", r"(?<k>\w)=\d", "names")] == ["a", "b"]
    assert regexp("a,b;c", "[,;]", "split") == ["a", "b", "c"]
    match, split = regexp("a1b2", r"\d", "match", "split")
    assert match == ["1", "2"] and split == ["a", "b", ""]
    start, end = regexp("xxabyab", "ab", nargout=2)
    assert start.tolist() == [[3, 6]] and end.tolist() == [[4, 7]]
    assert regexp("abc", "b", "start", "once") == 2 and regexp("abc", "x", "once").shape == (0, 0)
    assert regexp(["a1", "b"], r"\d", "match") == [["1"], []]
    assert regexp("a\nb", "a.b", "match") == ["a\nb"] and regexp("a\nb", "a.b", "match", "dotexceptnewline") == []
    assert regexp("one two", r"\<t\w*\>", "match") == ["two"]
    assert regexp("ab\n", "b$", "match") == [] and regexp("a\nb", "^b", "match", "lineanchors") == ["b"]
    assert regexp("(ab)", "(x)?(a)", "tokens") == [["", "a"]]
    with pytest.raises(ValueError, match="regexp: the option must be one of match"):
        regexp("a", "a", "tokns")
    with pytest.raises(ValueError, match="regexp: the pattern '\\(' cannot be read"):
        regexp("a", "(")
    with pytest.raises(ValueError, match="regexpi: the set in '\\[\\]' must not begin with ]"):
        regexpi("a", "[]")


def test_regexprep_replaces_tokens():
    assert regexprep("walk up, they walk", r"walk(\w*) up", "ascend$1") == "ascend, they walk"
    assert regexprep("aaa", "a", "b", "once") == "baa" and regexprep("ABC", "b", "x", "ignorecase") == "AxC"
    assert regexprep(["a.b", "c"], r"\.", "_") == ["a_b", "c"] and regexprep("a", "a", r"\$1") == "$1"
    with pytest.raises(ValueError, match=r"regexprep: the pattern '\(' cannot be read"):
        regexprep("a", "(", "b")
    with pytest.raises(ValueError, match="regexprep: the option must be one of once"):
        regexprep("a", "a", "b", "preservecase")
    for text, replacement in ((3, "b"), ("a", 3)):
        with pytest.raises(TypeError, match=r"regexprep: .* must be text, got"):
            regexprep(text, "a", replacement)


def test_regexprep_passes_over_matches_without_a_character():
    assert regexprep("abc", "^", "__") == "abc" and regexprep("abc", "^", "__", "emptymatch") == "__abc"
    assert regexprep("abcb", "x*b|$", "-", "once") == "a-cb" and regexprep("abcb", "b*", "-") == "a-c-"
