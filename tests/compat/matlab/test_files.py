"""Files, folders, time, containers.Map, inputParser and the small tensor functions."""

import io
import os
import time
from datetime import datetime

import numpy as np
import pytest

from pyconvnet import Struct
from pyconvnet.compat.matlab import (
    containers,
    csvread,
    datestr,
    dir,
    dlmread,
    exist,
    fileparts,
    fullfile,
    inputParser,
    memmapfile,
    mkdir,
    now,
    textscan,
    tic,
    toc,
    vl_taccum,
    vl_tmove,
    vl_tshow,
)


def test_paths_are_put_together_and_taken_apart():
    assert fullfile("data", "exp", "net.mat") == os.path.join("data", "exp", "net.mat")
    assert fullfile("a/", "/b", "", "c") == "a/b/c" and fullfile("a", "") == "a/" and fullfile("/", "a") == "/a"
    assert fullfile("a", ["x", "y"]) == ["a/x", "a/y"]
    with pytest.raises(TypeError, match="fullfile: parts must be texts or paths, got int: 3"):
        fullfile("a", 3)
    assert fileparts("/home/u/net-epoch-1.mat") == ("/home/u", "net-epoch-1", ".mat")
    assert fileparts("a/b/") == ("a/b", "", "") and fileparts("name") == ("", "name", "")
    assert fileparts(".bashrc") == ("", "", ".bashrc") and fileparts("/x") == ("/", "x", "")


def test_folders_are_made_and_listed(tmp_path):
    folder = str(tmp_path / "a" / "b")
    assert exist(folder) == 0 and mkdir(folder) and mkdir(str(tmp_path), "c") and mkdir(folder)
    (tmp_path / "a" / "x.txt").write_text("hello")
    assert exist(folder) == exist(folder, "dir") == exist(folder, "file") == 7
    assert exist(str(tmp_path / "a" / "x.txt")) == 2 and exist(str(tmp_path / "a" / "x.txt"), "dir") == 0
    with pytest.raises(NotImplementedError, match="exist: 'var'"):
        exist("x", "var")
    assert [d.name for d in dir(tmp_path / "a")] == [".", "..", "b", "x.txt"]
    (found,) = dir(str(tmp_path / "a" / "*.txt"))
    assert (found.name, found.folder, found.bytes, found.isdir) == ("x.txt", str(tmp_path / "a"), 5, False)
    assert abs(found.datenum - now()) < 1 and dir(str(tmp_path / "*.zip")) == []


def test_tables_of_numbers_are_read(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("1,2,3\n4,,6\n7,8\n")
    assert csvread(path).tolist() == [[1, 2, 3], [4, 0, 6], [7, 8, 0]]
    assert csvread(path, 1, 1).tolist() == [[0, 6], [8, 0]]
    path.write_text("1 2\n 3  4e1\n")
    assert dlmread(path).tolist() == [[1, 2], [3, 40]]
    path.write_text("1\t2\n3\t4")
    assert dlmread(str(path), "\\t").tolist() == dlmread(path).tolist() == [[1, 2], [3, 4]]
    path.write_text("1,x\n")
    with pytest.raises(ValueError, match="has no number at row 0, column 1: 'x'"):
        dlmread(path)


def test_textscan_gives_columns():
    names, numbers = textscan("cat 1\ndog 2.5\n", "%s %f")
    assert names == ["cat", "dog"] and numbers.tolist() == [[1], [2.5]]
    a, b = textscan(io.StringIO("h\n1,x,7\n2,y,8"), "%d %*s %f", "Delimiter", ",", "HeaderLines", 1)
    assert a.dtype == np.int32 and a.tolist() == [[1], [2]] and b.tolist() == [[7], [8]]
    with pytest.raises(ValueError, match="textscan: unknown option 'Headerline'"):
        textscan("1", "%f", "Headerline", 1)


def test_a_file_is_seen_as_arrays(tmp_path):
    path = tmp_path / "m.bin"
    np.arange(12, dtype="<f4").tofile(path)
    assert memmapfile(path, "Format", "single").Data.ravel().tolist() == list(range(12))
    m = memmapfile(path, "Format", [("single", [2, 3], "x")], "Writable", True)
    assert len(m.Data) == 2 and m.Data[1].x.tolist() == [[6, 8, 10], [7, 9, 11]]
    m.Data[0].x[1, 2] = 50
    assert np.fromfile(path, "<f4")[5] == 50
    one = memmapfile(path, Format=("single", [1, 3], "y"), Offset=8, Repeat=1)
    assert one.Data.y.tolist() == [[2, 3, 4]]
    with pytest.raises(ValueError, match="too short for one record of 400 bytes"):
        memmapfile(path, "Format", ("single", [10, 10], "x"))


def test_time_is_measured_and_written():
    start = tic()
    time.sleep(0.01)
    assert 0.01 <= toc() < 5 and toc(start) >= 0.01
    assert datestr(730736.65149) == "07-Sep-2000 15:38:09" == datestr(730736.65149, 0)
    moment = datetime(2017, 3, 7, 14, 5, 9)
    assert datestr(moment, "yyyy-mm-dd HH:MM:SS") == datestr(moment, 31) == "2017-03-07 14:05:09"
    assert datestr(moment, "mmm.dd,yy HH:MM PM") == "Mar.07,17  2:05 PM" and datestr(moment, 30) == "20170307T140509"
    assert datestr(datetime(2017, 3, 7)) == "07-Mar-2017"
    assert datestr(now(), "yyyy") == datestr("now", "yyyy") == str(datetime.now().year)
    with pytest.raises(ValueError, match="datestr: form must be text or one of 0, 1"):
        datestr(moment, 99)


def test_maps_keep_values_by_sorted_keys():
    m = containers.Map(["Jan", "Feb"], [327.2, 368.2])
    assert m.Count == len(m) == m.length() == 2 and m.keys() == ["Feb", "Jan"] and m.values() == [368.2, 327.2]
    m["Mar"] = "x"
    other = m
    other.remove("Jan")
    assert m.keys() == ["Feb", "Mar"] and m.values(["Mar"]) == ["x"] and "Feb" in m and list(m) == m.keys()
    assert m.isKey("Jan") is False and m.isKey(["Feb", 3]).tolist() == [[True, False]]
    with pytest.raises(KeyError, match="there is no key 'Fbe'; did you mean 'Feb'"):
        m["Fbe"]
    with pytest.raises(TypeError, match="keys must be texts, got 3"):
        m[3] = 1
    n = containers.Map("KeyType", "double", "ValueType", "any")
    n[3], n[np.array([[1]])] = "c", "a"
    assert n.keys() == [1, 3] and n.KeyType == "double" and containers.Map("a", [1, 2])["a"] == [1, 2]
    assert containers.Map([1, 2], ["x", "y"])[2] == "y" and containers.Map().Count == 0


def test_arguments_are_parsed_by_plan():
    def parser():
        p = inputParser()
        p.FunctionName = "f"
        p.addRequired("x", lambda v: v > 0)
        p.addOptional("n", 5, lambda v: isinstance(v, int))
        p.addParameter("mode", "fast", lambda v: v in ("fast", "slow"))
        p.addParamValue("rate", 0.1)
        return p

    p = parser()
    p.parse(1)
    assert p.Results == Struct(mode="fast", n=5, rate=0.1, x=1) and p.UsingDefaults == ["n", "mode", "rate"]
    p.parse(1, 7, "Mode", "slow", {"rate": 3})
    assert list(p.Results) == ["mode", "n", "rate", "x"] and p.Results.mode == "slow" and p.Results.rate == 3
    p.parse(1, "mo", "slow")
    assert p.Results.n == 5 and p.Results.mode == "slow"
    p.KeepUnmatched = True
    p.parse(1, "other", 2)
    assert p.Unmatched == Struct(other=2)
    for arguments, message in (
        ((), "f: 'x' must be given"),
        ((-1,), "f: the value of 'x' is not accepted, got -1"),
        ((1, 2, "mode", "x"), "f: the value of 'mode' is not accepted, got 'x'"),
        ((1, 2, "rtae", 3), "f: unknown name 'rtae'; did you mean 'rate'?"),
        ((1, 2, "rate"), "f: 'rate' has no value"),
        ((1, 2, 3), "f: a name must come next, got int: 3"),
    ):
        with pytest.raises(ValueError) as caught:
            parser().parse(*arguments)
        assert str(caught.value) == message


def test_tensors_are_added_pushed_and_pulled():
    a = np.ones((2, 3), np.float32)
    assert vl_taccum(0.5, a, 2, a).tolist() == [[2.5] * 3] * 2 and vl_taccum(1, 0, 2, a).tolist() == [[2] * 3] * 2
    vl_tmove("init", [("single", [2, 3], "x")], 1, 1)
    vl_tmove("push", "x", a)
    assert vl_tmove("pull", "x") is a
    vl_tmove("reset")
    with pytest.raises(ValueError, match="vl_tmove: nothing was pushed as 'x'"):
        vl_tmove("pull", "x")
    with pytest.raises(ValueError, match="vl_tmove: numlabs must be 1, got 2"):
        vl_tmove("init", [], 1, 2)


def test_a_tensor_is_shown_slice_by_slice(monkeypatch):
    pytest.importorskip("matplotlib").use("agg")
    from matplotlib import pyplot as plt

    x = np.random.default_rng(0).random((2, 3, 4, 5))
    picture = vl_tshow(x).get_array()
    assert picture.shape == (8, 15)
    for c in range(4):
        for k in range(5):
            assert np.array_equal(picture[2 * c : 2 * c + 2, 3 * k : 3 * k + 3], x[:, :, c, k])
    assert plt.gca().get_xlabel() == "Fourth dimension (size 5)"
    plt.clf()
    picture = vl_tshow(x[:, :, :1, :4]).get_array()  # 2 x 2 slices come nearest to 3 : 4
    assert picture.shape == (4, 6) and np.array_equal(picture[2:4, :3], x[:, :, 0, 1])
    assert plt.gca().get_xlabel() == ""
    plt.close("all")
