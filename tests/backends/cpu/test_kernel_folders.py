"""Kernels on disk are machine code: they are read only from folders that nobody else can write to."""

import os
import re
import shutil
import stat
import subprocess
import sys
import time

import pytest
from support import ROOT

pytest.importorskip("numba")
pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions are lists there")
as_root = pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() != 0, reason="only root can act as others")
NOBODY = 65534
KERNEL = """
from pyconvnet.backends.cpu.compiled import parallel

@parallel
def double(t, threads, x, out):
    out[0] = x + x
"""


@pytest.fixture
def package(tmp_path):
    """A folder with a kernel in it."""
    home = tmp_path / "package"
    home.mkdir(0o755)
    (home / "kernel.py").write_text(KERNEL)
    (home / "__pycache__").mkdir(0o755)
    os.chmod(home / "__pycache__", 0o755)
    return home


def run(package, user=None, doubled=4, **environment):
    """What a new process that runs the kernel on 2 gives: the result, where it is kept, whether it was on disk."""
    code = (
        f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(package)!r}]; import conftest, kernel, numpy as np, pathlib\n"
        "from pyconvnet.backends.cpu import kernel_folders as k\n"
        "from pyconvnet.threads import parallel_region\n"
        f"k.HERE, out, hits, read = pathlib.Path({str(package)!r}), np.zeros(1), [], k.read\n"
        "k.read = lambda *args: (found := read(*args), hits.append(found is not None))[0]\n"
        "with parallel_region(): kernel.double(1, np.float64(2), out)\n"
        "print(out[0], k.folder(), sum(hits))"
    )
    kept = {k: v for k, v in os.environ.items() if k not in ("HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR")}
    # Another user, who can read everything, also where Python lies in root's home, and writes where others may.
    able = "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"
    as_user = [] if user is None else ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *able]
    done = subprocess.run(
        [*as_user, sys.executable, "-B", "-c", code],
        cwd=package,
        env={**kept, "PYCONVNET_QUIET": "1", **{k: str(v) for k, v in environment.items()}},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    value, folder, hits = done.stdout.split()
    assert float(value) == doubled
    return folder, int(hits), done.stderr


def test_kernels_lie_beside_the_package_where_only_the_user_can_write(package, tmp_path):
    assert run(package, HOME=tmp_path) == (str(package / "__pycache__"), 0, "")
    assert run(package, HOME=tmp_path) == (str(package / "__pycache__"), 1, "")


def test_planted_kernels_are_not_read_from_a_folder_that_others_can_write_to(package, tmp_path):
    folder = package / "__pycache__"
    run(package, HOME=tmp_path)
    (kept,) = folder.glob("*.kernel")
    (package / "kernel.py").write_text(KERNEL.replace("x + x", "x + x + x"))
    assert run(package, HOME=tmp_path, doubled=6)[1] == 0
    (evil,) = set(folder.glob("*.kernel")) - {kept}
    evil.replace(kept)  # a whole file of this machine and these sources, with another function
    (package / "kernel.py").write_text(KERNEL)
    folder.chmod(0o777)
    found, hits, said = run(package, HOME=tmp_path)
    assert found.startswith(str(tmp_path / ".cache")) and not hits
    assert f"compiled kernels in {folder} are not used" in said and f"everybody can write to {folder}" in said
    assert run(package, HOME=tmp_path)[:2] == (found, 1)
    assert stat.S_IMODE(os.stat(found).st_mode) == 0o700
    folder.chmod(0o755)  # the user's own folder, which is trusted: so what was planted does run there
    assert run(package, HOME=tmp_path, doubled=6)[:2] == (str(folder), 1)


def test_without_a_safe_folder_kernels_are_compiled_by_every_process(package, tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    for _ in range(2):
        kept.chmod(0o777)
        folder, hits, said = run(package, HOME=tmp_path, NUMBA_CACHE_DIR=kept)
        assert folder == str(package / "__pycache__") or not hits
        assert f"everybody can write to {kept}" in said
    (package / "__pycache__").chmod(0o777)
    tmp_path.chmod(0o777)
    try:
        assert run(package, HOME=tmp_path)[:2] == ("None", 0)
    finally:
        tmp_path.chmod(0o700)


def test_a_folder_that_is_the_users_own_is_safe_and_the_check_takes_no_time(tmp_path):
    from pyconvnet.backends.cpu.kernel_folders import weakness

    for i in range(200):
        (tmp_path / f"{i}.kernel").write_bytes(b"")
    tmp_path.chmod(0o755)
    assert weakness(str(tmp_path)) == ""
    began = time.perf_counter()
    weakness(str(tmp_path))
    assert time.perf_counter() - began < 0.05  # 0.5 ms on an idle machine


@pytest.mark.parametrize(
    "spoil, reason",
    [
        (lambda f: f.chmod(0o777), "everybody can write to {folder}"),
        (lambda f: f.chmod(0o1777), "everybody can write to {folder}"),
        (lambda f: f.parent.chmod(0o777), "everybody can write to {parent}"),
        (lambda f: (f / "k.kernel").chmod(0o666), "everybody can write to {folder}/k.kernel"),
        (lambda f: ((f / "k.kernel").unlink(), (f / "k.kernel").symlink_to("elsewhere")), "k.kernel .* is not a file"),
    ],
)
def test_a_folder_where_others_could_put_kernels_is_named(tmp_path, spoil, reason):
    from pyconvnet.backends.cpu.kernel_folders import weakness

    folder = tmp_path / "above" / "kernels"
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    folder.parent.chmod(0o755)
    (folder / "k.kernel").write_bytes(b"")
    assert weakness(str(folder)) == ""
    spoil(folder)
    assert re.search(reason.format(folder=folder, parent=folder.parent), weakness(str(folder)))


def test_others_get_to_no_file_in_a_closed_folder_whatever_its_mode(tmp_path):
    from pyconvnet.backends.cpu.kernel_folders import weakness

    (tmp_path / "k.kernel").write_bytes(b"")
    (tmp_path / "k.kernel").chmod(0o666)
    tmp_path.chmod(0o700)
    assert weakness(str(tmp_path)) == ""


@as_root
def test_folders_files_and_links_of_other_users_are_not_safe(tmp_path):
    from pyconvnet.backends.cpu.kernel_folders import weakness

    folder, link = tmp_path / "real", tmp_path / "link"
    folder.mkdir()
    folder.chmod(0o755)
    link.symlink_to(folder)
    (folder / "k.kernel").write_bytes(b"")
    assert weakness(str(link)) == ""
    os.chown(link, NOBODY, NOBODY, follow_symlinks=False)
    assert weakness(str(link)) == f"the link {link} belongs to user {NOBODY}"
    assert weakness(str(link), {NOBODY}) == ""
    os.chown(folder / "k.kernel", NOBODY, NOBODY)
    assert weakness(str(folder)) == f"k.kernel belongs to user {NOBODY}"
    os.chown(folder, NOBODY, NOBODY)
    assert weakness(str(folder)) == f"{folder} belongs to user {NOBODY}"


@as_root
def test_a_group_of_several_users_is_not_safe_and_the_users_own_is(tmp_path):
    import grp
    import pwd

    from pyconvnet.backends.cpu.kernel_folders import weakness

    tmp_path.chmod(0o775)
    own = grp.getgrgid(pwd.getpwuid(0).pw_gid)
    os.chown(tmp_path, 0, own.gr_gid)
    assert (weakness(str(tmp_path)) == "") == (own.gr_name == "root" and set(own.gr_mem) <= {"root"})
    os.chown(tmp_path, 0, NOBODY)
    assert weakness(str(tmp_path)) == f"the group {NOBODY} can write to {tmp_path}"


@as_root
@pytest.mark.skipif(not shutil.which("setpriv"), reason="setpriv is missing")
def test_a_user_of_a_package_that_root_installed_has_kernels_at_home_and_runs_without_one(package, tmp_path):
    home, planted = tmp_path / "home", tmp_path / "cache"
    for folder, owner in ((home, NOBODY), (planted, 1234)):
        folder.mkdir()
        os.chown(folder, owner, owner)
    planted.chmod(0o777)
    run(package)  # root compiles what all use
    assert run(package, NOBODY, HOME=home)[1:] == (1, "")
    shutil.rmtree(package / "__pycache__")
    before = os.umask(0o022)
    run(package)  # which makes the folder
    os.umask(before)
    assert stat.S_IMODE(os.stat(package / "__pycache__").st_mode) == 0o755
    assert run(package, NOBODY, HOME=home)[1:] == (1, "")
    shutil.rmtree(package / "__pycache__")
    (package / "__pycache__").mkdir(0o755)
    folder, hits, said = run(package, NOBODY, HOME=home)
    assert folder.startswith(str(home / ".cache")) and not hits and not said
    assert run(package, NOBODY, HOME=home) == (folder, 1, "")
    assert run(package, NOBODY, HOME="/") == ("None", 0, "")
    assert run(package, NOBODY) == ("None", 0, "")  # HOME is not set
    found, _, said = run(package, NOBODY, HOME=home, XDG_CACHE_HOME=planted)
    assert found == "None" and f"{planted} belongs to user 1234" in said
    found, _, said = run(package, NOBODY, HOME=home, NUMBA_CACHE_DIR=planted)
    assert found == folder and f"{planted} belongs to user 1234" in said
