"""Files are whole or as they were: no writer leaves half a file, or a draft."""

import errno
import os
import stat

import numpy as np
import pytest

from pyconvnet import atomic, images, view


def names(folder):
    return sorted(p.name for p in folder.iterdir())


@pytest.mark.parametrize("content", ["täxt\n", "täxt\n".encode(), lambda draft: draft.write("täxt\n".encode())])
def test_text_bytes_and_what_a_function_writes(tmp_path, content):
    atomic.write(tmp_path / "a.txt", content)
    assert (tmp_path / "a.txt").read_bytes() == "täxt\n".encode()
    assert names(tmp_path) == ["a.txt"]


def test_a_failing_writer_leaves_the_old_file_and_no_draft(tmp_path):
    (tmp_path / "a.txt").write_text("old")

    def fails(draft):
        draft.write(b"half")
        assert os.path.dirname(draft.name) == str(tmp_path)
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        atomic.write(tmp_path / "a.txt", fails)
    assert (tmp_path / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_the_file_is_flushed_before_it_gets_its_name_and_the_folder_after(tmp_path, monkeypatch):
    done = []
    real, replace = os.fsync, os.replace
    monkeypatch.setattr(
        os, "fsync", lambda h: (done.append("folder" if stat.S_ISDIR(os.fstat(h).st_mode) else "file"), real(h))
    )
    monkeypatch.setattr(os, "replace", lambda a, b: (done.append("rename"), replace(a, b)))
    atomic.write(tmp_path / "a.txt", "x")
    assert done == ["file", "rename", "folder"]


def test_permissions_are_those_of_the_old_file_else_those_of_every_new_one(tmp_path):
    (tmp_path / "plain").write_text("")
    atomic.write(tmp_path / "new", "x")
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "plain").stat().st_mode
    os.chmod(tmp_path / "plain", 0o600)
    atomic.write(tmp_path / "plain", "x")
    assert stat.S_IMODE((tmp_path / "plain").stat().st_mode) == 0o600


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "deep" / "a.txt")
    atomic.write(tmp_path / "link", "x")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "deep" / "a.txt").read_text() == "x"


def test_a_device_is_written_to_and_a_folder_refused(tmp_path):
    atomic.write(os.devnull, "x")
    assert not os.path.isfile(os.devnull)
    with pytest.raises(IsADirectoryError):
        atomic.write(tmp_path, "x")


def test_errors_name_the_file_that_was_asked_for(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no/a\.txt'$") as caught:
        atomic.write(tmp_path / "no" / "a.txt", "x")
    assert caught.value.filename == str(tmp_path / "no" / "a.txt")


def test_pictures_and_images_are_whole_or_not_there(tmp_path, monkeypatch):
    def killed(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", killed)
    with pytest.raises(OSError, match="No space left"):
        view.save(np.zeros((4, 4)), tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"imwrite: cannot write .*No space left"):
        images.imwrite(np.zeros((4, 4), np.uint8), tmp_path / "b.png")
    assert names(tmp_path) == []


def test_a_picture_without_an_ending_is_a_png(tmp_path):
    view.save(np.zeros((4, 4)), tmp_path / "a")
    assert names(tmp_path) == ["a.png"] and images.imread(tmp_path / "a.png").ndim == 3


def test_an_error_of_the_disk_that_names_no_file_names_the_one_that_was_asked_for(tmp_path):
    def full(draft):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"No space left on device: '.*a\.txt'$"):
        atomic.write(tmp_path / "a.txt", full)

    def another(draft):
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", "another")

    with pytest.raises(FileNotFoundError, match="another"):
        atomic.write(tmp_path / "a.txt", another)


def test_folders_are_made_flushed_and_refused_where_a_file_is(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr(atomic, "_flush_folder", flushed.append)
    atomic.make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir() and flushed == [tmp_path, tmp_path / "a"]
    atomic.make_folder(tmp_path / "a" / "b")
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match=r"it is a file, and must be a folder: .*file'"):
        atomic.make_folder(tmp_path / "file")
    with pytest.raises(NotADirectoryError, match="deep"):
        atomic.make_folder(tmp_path / "file" / "deep")


def test_a_path_is_checked_before_the_work(tmp_path):
    atomic.check(tmp_path / "a.txt")
    with pytest.raises(FileNotFoundError, match="its folder does not exist"):
        atomic.check(tmp_path / "no" / "a.txt")
    with pytest.raises(IsADirectoryError):
        atomic.check(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        atomic.check(tmp_path / "file" / "a.txt")
