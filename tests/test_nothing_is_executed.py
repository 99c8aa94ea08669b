"""Nothing that comes from a file is executed: the source can do so only where it is named here, with the reason."""

import ast

import pytest
from support import ROOT

CALLS = {"eval", "exec", "compile", "__import__", "breakpoint"}
MODULES = {
    *("pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "copyreg"),
    *("runpy", "code", "codeop", "imp", "ctypes", "cffi", "subprocess", "pty", "webbrowser"),
    *("yaml", "xml", "lxml", "zipfile", "tarfile", "socketserver", "xmlrpc"),
}
ATTRIBUTES = {  # of any object
    *("popen", "execv", "execve", "spawnv", "startfile", "unpack_archive", "mktemp", "extractall"),
    *("jit_load", "load_library", "LoadLibrary", "CDLL", "all_gather_object", "broadcast_object_list", "set_source"),
}
KEYWORDS = {"allow_pickle", "weights_only", "shell", "trust_remote_code"}
LOADS = {"torch", "np", "numpy", "joblib"}  # x.load of these may read pickles

ALLOWED = {
    ("pyconvnet/formats/pytorch/source.py", "runpy"): "`convert --check` runs the module that it has just written",
    ("pyconvnet/training/distributed.py", "pickle"): "written only, to see whether options can be sent to processes",
    ("pyconvnet/training/team.py", "all_gather_object"): "between the processes of one training, of the same user",
    ("pyconvnet/backends/cpu/compiled.py", "ctypes"): "addresses of kernels compiled here",
    ("pyconvnet/backends/cpu/recording.py", "ctypes"): "the same",
    ("pyconvnet/backends/cpu/placement.py", "ctypes"): "the C library's function that tells the processor",
    ("pyconvnet/backends/cpu/page_watch.py", "ctypes"): "a call of Linux, userfaultfd",
    ("pyconvnet/backends/cpu/page_watch.py", "CDLL"): "the C library of this process, which makes it",
    ("pyconvnet/backends/cpu/unmoved.py", "ctypes"): "numpy's own fields of arrays",
    ("pyconvnet/backends/cpu/hardware.py", "ctypes"): "a call of Linux, arch_prctl",
    ("pyconvnet/backends/cpu/hardware.py", "CDLL"): "the same",
    ("pyconvnet/threads.py", "import_module"): "numba's layer of threads, one of three",
    ("pyconvnet/threads.py", "ctypes"): "the OpenBLAS that lies beside numpy, and the OpenMP that is loaded already",
    ("pyconvnet/threads.py", "CDLL"): "the same",
    ("pyconvnet/extraction.py", "np.load"): "a .npy that it has just written, without pickles",
    # modules by name: names are those of pyconvnet's own tables
    ("pyconvnet/__init__.py", "import_module"): "names of _HOME_OF",
    ("pyconvnet/view/__init__.py", "import_module"): "names of its table",
    ("pyconvnet/training/__init__.py", "import_module"): "names of its table",
    ("pyconvnet/layers/__init__.py", "import_module"): "what lies in the folder of layers",
    ("pyconvnet/backends/__init__.py", "import_module"): "names that were registered",
    ("pyconvnet/backends/cpu/__init__.py", "import_module"): "names of kernels",
    ("pyconvnet/backends/cpu/warmup.py", "import_module"): "names of kernels",
    ("pyconvnet/formats/registry.py", "import_module"): "names that were registered",
    ("pyconvnet/formats/onnx/library.py", "import_module"): "onnx and onnxruntime",
    ("compat/__init__.py", "import_module"): "names of its modules",
}


def dangers(tree):
    """What could execute something, or read what does."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.partition(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in MODULES:
            yield node.module
        elif isinstance(node, ast.Attribute) and (node.attr in ATTRIBUTES or ast.unparse(node) == "os.system"):
            yield node.attr
        elif isinstance(node, ast.Name) and node.id in CALLS:
            yield node.id
        elif isinstance(node, ast.Call):
            yield from (k.arg for k in node.keywords if k.arg in KEYWORDS)
            yield from _called(node)


def _called(node):
    called = ast.unparse(node.func)
    constant = node.args and isinstance(node.args[0], ast.Constant)
    if called.endswith("import_module") and not constant:
        yield "import_module"
    if called.rpartition(".")[0] in LOADS and called.endswith(".load"):
        yield called


def found():
    for top in ("pyconvnet", "compat", "models"):
        for path in sorted((ROOT / top).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            yield from ((name, what) for what in dangers(ast.parse(path.read_text(encoding="utf-8"))))


def test_the_source_executes_nothing_but_what_is_named_here():
    seen = set(found())
    assert not seen - ALLOWED.keys()
    assert not ALLOWED.keys() - seen  # a reason that is no longer needed


@pytest.mark.parametrize(
    "code",
    [
        "eval(x)",
        "f = exec",
        "import pickle as p",
        "from xml.etree import ElementTree",
        "np.load(f, allow_pickle=True)",
        "torch.load(f)",
        "os.system(x)",
        "import_module(name)",
        "importlib.import_module(f'a.{b}')",
        "run(x, shell=True)",
    ],
)
def test_what_would_execute_something_is_seen(code):
    assert list(dangers(ast.parse(code)))
