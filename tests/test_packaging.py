"""What keeps the unusual layout safe: compat/ and models/ at the top of the tree, installed inside pyconvnet."""

import ast
import os
import re
import subprocess
import sys
import sysconfig
from importlib import import_module
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

    for file, pattern in (("pyproject.toml", r'^version = "(.+)"$'), ("CITATION.cff", r"^version: (.+)$")):
        found = re.findall(pattern, (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
        assert found == [pyconvnet.__version__], file


def test_the_types_are_shipped_and_checkers_see_the_whole_package():
    assert "py.typed" in declared_packages()["package_data"]["pyconvnet"]
    assert (ROOT / "pyconvnet" / "py.typed").is_file()
    for name in ("compat", "models"):
        assert (ROOT / "tools" / "typing" / "pyconvnet" / name).resolve() == ROOT / name


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
    extras = dict(re.findall(r"^(\w+) = \[(.*)\]$", listed[1], re.M))
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
    for extra in packages.keys() - {"test"}:
        assert {"PIL" if p == "Pillow" else p.replace("-", "_") for p in packages[extra]} <= imported, extra
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
