"""What keeps the unusual layout safe: compat/ and models/ at the top of the tree, installed inside pyconvnet."""

import ast
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest
from support import python

ROOT = Path(__file__).parents[1]


def declared_packages():
    tree = ast.parse((ROOT / "setup.py").read_text())
    call = next(n for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "setup")
    return {k.arg: ast.literal_eval(k.value) for k in call.keywords}


def test_setup_lists_every_package_folder():
    declared = set(declared_packages()["packages"])
    found = {"pyconvnet"}
    for top, name in (("pyconvnet", "pyconvnet"), ("compat", "pyconvnet.compat"), ("models", "pyconvnet.models")):
        for init in (ROOT / top).rglob("__init__.py"):
            inner = init.parent.relative_to(ROOT / top).parts
            found.add(".".join((name, *inner)))
    assert declared == found


def test_there_is_one_version():
    import pyconvnet

    for file, pattern in (
        ("pyproject.toml", r'^version = "(.+)"$'),
        ("CITATION.cff", r"^version: (.+)$"),
        ("conda.recipe/meta.yaml", r'^{% set version = "(.+)" %}$'),
    ):
        found = re.findall(pattern, (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
        assert found == [pyconvnet.__version__], file


def test_the_types_are_shipped_and_checkers_see_the_whole_package():
    assert "py.typed" in declared_packages()["package_data"]["pyconvnet"]
    assert (ROOT / "pyconvnet" / "py.typed").is_file()
    typing = ROOT / "tools" / "typing" / "pyconvnet"
    for name in ("compat", "models") if typing.exists() else ():  # a source distribution has no links
        assert (typing / name).resolve() == ROOT / name


@pytest.mark.parametrize("name", ["compat", "models"])
def test_a_top_level_folder_refuses_to_be_imported_under_its_bare_name(name):
    done = subprocess.run([sys.executable, "-c", f"import {name}"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert f"pyconvnet.{name}" in done.stderr.splitlines()[-1]


def test_importing_pyconvnet_and_all_of_its_names_imports_numpy_and_no_other_library():
    code = "import pyconvnet; from pyconvnet import *; print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    loaded = set(python(f"import sys; {code}", check=True).stdout.split())
    assert "numpy" in loaded
    assert not loaded & {"scipy", "numba", "h5py", "matplotlib", "PIL", "tqdm", "torch", "onnx", "llvmlite"}


def test_every_public_name_is_there():
    import pyconvnet

    for name in pyconvnet.__all__:
        assert getattr(pyconvnet, name) is not None
        assert name in dir(pyconvnet)
    assert sorted(pyconvnet._HOME_OF) == sorted(pyconvnet.__all__)


def test_editors_see_the_names_that_are_imported_late():
    import pyconvnet

    tree = ast.parse(Path(pyconvnet.__file__).read_text(encoding="utf-8"))
    block = next(n for n in tree.body if isinstance(n, ast.If))
    seen = {a.name: n.module.partition(".")[2] for n in block.body for a in n.names}
    assert seen == pyconvnet._HOME_OF


def test_an_unknown_name_is_an_attribute_error():
    import pyconvnet

    with pytest.raises(AttributeError, match="vl_nnconf"):
        _ = pyconvnet.vl_nnconf


@pytest.mark.parametrize("name", ["setup", "conftest", "tests", "examples", "tools", "matlab_fixtures", "__main__"])
def test_what_lies_beside_the_package_in_a_checkout_is_not_in_it(name):
    import pyconvnet

    assert not hasattr(pyconvnet, name)
    if name != "__main__":
        with pytest.raises(ModuleNotFoundError):
            import_module(f"pyconvnet.{name}")
    assert pyconvnet.models.__name__ == "pyconvnet.models" and pyconvnet.compat.__name__ == "pyconvnet.compat"


def test_extras_bring_what_the_library_imports_and_no_more():
    listed = re.search(
        r"^\[project.optional-dependencies\]\n(.*?)\n\n", (ROOT / "pyproject.toml").read_text(), re.M | re.S
    )
    extras = dict(re.findall(r"^(\w+) = \[(.*?)\]$", listed[1], re.M | re.S))
    packages = {name: set(re.findall(r'"([\w-]+)', text)) for name, text in extras.items()}
    assert {"plot", "image", "progress", "test", "all"} <= set(packages)
    sources = [p for top in ("pyconvnet", "compat", "models") for p in (ROOT / top).rglob("*.py")]
    imported = set()
    for path in sources:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.partition(".")[0])
    names = {"Pillow": "PIL", "scikit-learn": "sklearn"}
    for extra in packages.keys() - {"docs", "test"}:
        assert {names.get(p, p.replace("-", "_")) for p in packages[extra]} <= imported, extra
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"`\[(\w+)\]`", readme)) == set(packages)


def test_a_checkout_without_an_installation_is_the_whole_package():
    code = "import pyconvnet, pyconvnet.compat.matlab, pyconvnet.models as m; print(pyconvnet.__file__, m.__file__)"
    sites = os.pathsep.join(sysconfig.get_paths()[key] for key in ("purelib", "platlib"))
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],  # -S: no editable installation either
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": sites},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(ROOT / "pyconvnet" / "__init__.py"), str(ROOT / "models" / "__init__.py")]


SHIPPED = {".py", ".pyi", ".typed", ".mat", ".png"}  # kinds of files in packages
NOT_IN_THE_SDIST = {".gitignore", "tools/typing/pyconvnet/compat", "tools/typing/pyconvnet/models"}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """(files of the checkout, {name: content} of the sdist, of its wheel, of the wheel that the checkout gives)."""
    pytest.importorskip("setuptools")
    if int(version("setuptools").partition(".")[0]) < 77:
        pytest.skip("setuptools is too old to build with")
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("what belongs to the checkout is known to git")
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    files = {name for name in names if name and (ROOT / name).exists()}
    work = tmp_path_factory.mktemp("built")
    for name in files:
        (work / "checkout" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, work / "checkout" / name, follow_symlinks=False)
    checkout = work / "checkout"
    shutil.copytree(checkout / "pyconvnet" / "ops", checkout / "venv")  # what a checkout may hold beside its files
    (checkout / "pyconvnet" / "notes.txt~").write_text("")
    sdist = build(checkout, "sdist", work / "s")
    with tarfile.open(sdist) as tar:
        members = tar.getmembers()
        assert all(m.isfile() or m.isdir() for m in members)
        contents = {m.name.partition("/")[2]: tar.extractfile(m).read() for m in members if m.isfile()}
        top = members[0].name.partition("/")[0]
    for name, content in contents.items():
        (work / top / name).parent.mkdir(parents=True, exist_ok=True)
        (work / top / name).write_bytes(content)
    wheels = [unzipped(build(folder, "wheel", work / key)) for key, folder in (("a", work / top), ("b", checkout))]
    return files, contents, *wheels


def build(folder, kind, out):
    """The path of the sdist or wheel of a folder."""
    code = f"import sys; from setuptools import build_meta as b; print('made', b.build_{kind}(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(out)], cwd=folder, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return out / done.stdout.split()[-1]


def unzipped(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}


def test_the_sdist_is_the_checkout(built):
    files, sdist, *_ = built
    generated = {name for name in sdist if name.startswith("pyconvnet.egg-info/")} | {"PKG-INFO", "setup.cfg"}
    assert sdist.keys() - generated == files - NOT_IN_THE_SDIST
    changed = [name for name in sdist.keys() - generated if sdist[name] != (ROOT / name).read_bytes()]
    assert not changed


def test_the_wheel_holds_the_packages_and_no_other_file(built):
    files, _, wheel, _ = built
    inside = {name for name in files if name.startswith(("pyconvnet/", "compat/", "models/"))}
    assert {Path(name).suffix for name in inside} == SHIPPED
    packaged = {name if name.startswith("pyconvnet/") else f"pyconvnet/{name}" for name in inside}
    described = {name for name in wheel if ".dist-info/" in name}
    assert wheel.keys() - described == packaged
    assert {name.partition("/")[2] for name in described} == {
        "METADATA", "WHEEL", "RECORD", "entry_points.txt", "top_level.txt", "licenses/LICENSE",
    }  # fmt: skip


def test_the_sdist_and_the_checkout_give_the_same_wheel(built):
    *_, of_sdist, of_checkout = built
    assert of_sdist == of_checkout
