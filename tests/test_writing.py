"""Every file is written by pyconvnet.atomic: the source is searched for other ways to write, move or delete one."""

import ast

import pytest
from support import ROOT

# (file, call): why it is right there
EXCEPTIONS = {
    ("pyconvnet/atomic.py", "open"): "this is the way",
    ("pyconvnet/atomic.py", "os.open"): "folders are opened to flush them, drafts to see whether they are in use",
    ("pyconvnet/atomic.py", "os.unlink"): "of drafts",
    ("pyconvnet/atomic.py", "path.mkdir"): "this is the way",
    ("pyconvnet/locks.py", "os.open"): "a lock is no content that can be half written",
    ("pyconvnet/locks.py", "os.unlink"): "a lock that was let go of",
    ("pyconvnet/training/expdir.py", "os.write"): "the name of who has the lock, in the lock",
    ("pyconvnet/training/expdir.py", "os.ftruncate"): "the name of who had the lock",
    ("pyconvnet/cli/__init__.py", "os.open"): "the null device",
    ("pyconvnet/backends/cpu/page_watch.py", "os.open"): "what Linux tells about this process, to read",
    ("pyconvnet/download.py", "_OPENER.open"): "a request",
    ("pyconvnet/download.py", "open"): "a draft that the next call goes on with, renamed by atomic.rename",
    ("pyconvnet/download.py", "other.unlink"): "drafts of other versions",
    ("pyconvnet/download.py", "path.unlink"): "drafts of other versions",
    ("pyconvnet/extraction.py", "h5py.File"): "a draft behind a file that holds back errors",
    ("pyconvnet/formats/mat/write73.py", "h5py.File"): "a draft behind a file that holds back errors",
    ("pyconvnet/formats/pytorch/weights.py", "save"): "bytes in memory",
    ("pyconvnet/training/checkpoints.py", "save"): "pyconvnet.save",
    ("pyconvnet/images.py", "picture.save"): "memory",
    ("pyconvnet/view/plots.py", "fig.savefig"): "memory",
    ("pyconvnet/report.py", "Image.fromarray(np.uint8(np.round(255 * np.squeeze(tiles)))).save"): "memory",
    ("pyconvnet/report.py", "figure.savefig"): "memory",
    ("pyconvnet/training/checkpoints.py", "tempfile.TemporaryDirectory"): "process 0 sent it; read back and deleted",
    ("pyconvnet/training/checkpoints.py", "copy.write_bytes"): "process 0 sent it; read back and deleted",
    ("pyconvnet/backends/cpu/kernel_folders.py", "folder.mkdir"): "for kernels, a user's own with a mode of its own",
    ("pyconvnet/port/runtime/surroundings.py", "os.remove"): "MATLAB's delete",
    ("compat/matlab/files.py", "np.memmap"): "MATLAB's memmapfile, whose Writable is that writing goes to the file",
}

WRITING = set(
    "write_text write_bytes savefig savez savez_compressed savetxt savemat save_file save_model tofile imsave memmap "
    "open_memmap mkdir makedirs mkstemp mkdtemp NamedTemporaryFile TemporaryFile TemporaryDirectory rename renames "
    "unlink rmdir rmtree copyfile copy2 copytree symlink symlink_to hardlink_to touch ftruncate truncate chmod".split()
)
OWN = {"atomic", "view", "plots", "formats", "checkpoints", "run_metadata", "saved", "entry", "self", "rt"}


def writes(call: ast.Call) -> bool:
    """Whether a call may write, move or delete a file by itself."""
    receiver, name = "", ""
    if isinstance(call.func, ast.Name):
        name = call.func.id
    elif isinstance(call.func, ast.Attribute):
        name, receiver = call.func.attr, ast.unparse(call.func.value)
    if any(isinstance(a, ast.Name) and a.id == "draft" for a in call.args) or receiver.partition(".")[0] in OWN:
        return False
    if name == "open":
        at = 0 if receiver not in ("", "io", "os", "gzip", "bz2", "lzma") else 1
        given = [*call.args[at : at + 1], *(k.value for k in call.keywords if k.arg == "mode")]
        mode = given[0].value if given and isinstance(given[0], ast.Constant) else "unknown" if given else "r"
        return receiver == "os" or (receiver != "Image" and set(mode) != {"r", "b"} and mode != "r")
    if name == "File":
        return not (len(call.args) > 1 and isinstance(call.args[1], ast.Constant) and call.args[1].value == "r")
    if receiver in ("os", "shutil"):
        return name in {*WRITING, "write", "remove", "replace", "move", "copy", "link", "truncate", "sendfile"}
    if name == "replace":
        return len(call.args) == 1 and not call.keywords  # of a path: of a text it has two
    if name == "save":
        return bool(call.args)
    return bool(receiver) and name in WRITING and receiver != "file"


def places():
    for folder in ("pyconvnet", "compat", "models"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and writes(node):
                    yield path.relative_to(ROOT).as_posix(), node.lineno, ast.unparse(node.func)


def test_nothing_is_written_but_by_atomic():
    found = list(places())
    assert [f"{file}:{line}: {call}" for file, line, call in found if (file, call) not in EXCEPTIONS] == []
    assert EXCEPTIONS.keys() - {(file, call) for file, _, call in found} == set()  # those that are no longer needed


@pytest.mark.parametrize(
    "code",
    [
        "open('a', 'w')",
        "open('a', mode='ab')",
        "open('a', mode)",
        "path.open('x')",
        "path.write_text('a')",
        "np.save('a', x)",
        "np.savez('a', x)",
        "torch.save(x, 'a')",
        "onnx.save_model(m, 'a')",
        "figure.savefig('a.png')",
        "h5py.File('a')",
        "h5py.File('a', 'a')",
        "os.replace(a, b)",
        "path.replace(b)",
        "shutil.copy(a, b)",
        "picture.save('a.png')",
        "os.open('a', os.O_WRONLY)",
    ],
)
def test_other_ways_to_write_are_found(code):
    assert writes(ast.parse(code).body[0].value)


@pytest.mark.parametrize(
    "code",
    ["open('a')", "open('a', 'rb')", "path.open()", "h5py.File('a', 'r')", "text.replace('a', 'b')", "block.save()",
     "np.save(draft, x)", "Image.open('a')"],
)  # fmt: skip
def test_reading_is_not_taken_for_writing(code):
    assert not writes(ast.parse(code).body[0].value)
