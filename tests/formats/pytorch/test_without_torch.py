"""Without PyTorch the names are there, and say what to install."""

from support import python

CODE = """
import sys
sys.modules["torch"] = None
import pyconvnet as pcn
net = pcn.SimpleNN(layers=[pcn.Struct(type="relu", name="relu", weights=[])])
for call in (lambda: pcn.to_torch(net), lambda: pcn.from_torch(net, (8, 8, 3)), lambda: pcn.save(sys.argv[1], net)):
    try:
        call()
    except ImportError as error:
        print(error)
"""


def test_what_needs_torch_says_how_to_install_it(tmp_path):
    done = python(CODE, tmp_path / "net.py", check=True)
    assert done.stdout.splitlines() == [
        "to_torch: the package 'torch' is needed: pip install 'pyconvnet[torch]'",
        "from_torch: the package 'torch' is needed: pip install 'pyconvnet[torch]'",
        "save: .py files need the package 'torch': pip install 'pyconvnet[torch]'",
    ]
    assert not list(tmp_path.iterdir())
