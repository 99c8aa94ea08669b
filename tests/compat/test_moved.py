"""The names of pyconvnet.compat that stayed when their code went to pyconvnet/formats."""

from importlib import import_module

import pytest
from support import python


@pytest.mark.parametrize(
    "old, new, names",
    [
        ("matfile", "formats.mat.matfile", "read write HDF5"),
        ("matfile", "formats.registry", "INSTEAD"),
        ("mat5", "formats.mat.v5", "read text function_name"),
        ("mat73", "formats.mat.v73", "read"),
        ("objects", "formats.mat.objects", "resolved"),
        ("tomatlab", "formats.mat.encode", "matlab_value"),
    ],
)
def test_a_name_of_compat_is_that_of_formats(old, new, names):
    face, home = import_module(f"pyconvnet.compat.{old}"), import_module(f"pyconvnet.{new}")
    for name in names.split():
        assert getattr(face, name) is getattr(home, name) and name in face.__all__


def test_they_are_attributes_of_compat_and_can_be_imported_first(tmp_path):
    code = (
        "import pyconvnet as pcn; path = sys.argv[1]; pcn.compat.matfile.write(path, {'a': 'b'});"
        "from pyconvnet.compat.mat5 import read; print(pcn.compat.matfile.read(path), read(open(path, 'rb')))"
    )
    assert python(code, tmp_path / "x.mat", check=True).stdout.strip() == "{'a': 'b'} {'a': 'b'}"
