"""No file or line of a program that is translated becomes code that the program does not have."""

import ast

import hostile
import pytest

pytest.importorskip("tree_sitter_matlab")

from pyconvnet.port import port
from pyconvnet.port.summary import summary
from pyconvnet.text import visible

PROGRAM = """% coding: utf-7
function y = f(x)
% \"\"\" of a comment \\ \x0c \x85 \u2028 import os
%{
\"\"\"
import os
%}
y = 'it''s "quoted" \\';
z = "a""b \\";
q = 'unseen \x1b[2J' +* 1;
! rm -rf /
system('id')
eval('import os')
end
"""
NAMES = [
    'a"""; import os; os.mkdir("it-ran"); """',
    '\nimport os; os.mkdir("it-ran")\n#',
    "ends with \\",
    'ends with "',
    "\x1b[2J\u202e",
    *(name.replace("/", "|")[:100] for name in hostile.MARKUP if "\0" not in name),
]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_any_name_and_content_becomes_its_function_alone(tmp_path, name):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / f"{name}.m").write_text(PROGRAM, encoding="utf-8")
    (tmp_path / "in" / "script.m").write_text("! id\nx = 1;\r% \rimport os\n", encoding="utf-8")
    done = port(tmp_path / "in", tmp_path / "out")
    for path in (tmp_path / "out").iterdir():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imports = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
        assert all(ast.unparse(node).startswith(("from pyconvnet", "import pyconvnet")) for node in imports)
        calls = [ast.unparse(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)]
        assert {call.split(".")[0] for call in calls} <= {"rt", "ml", "pcn", "NotImplementedError"}
    assert {path.parent for path in tmp_path.rglob("*.py")} == {tmp_path / "out"}
    said = summary(done)
    assert all(visible(line) == line for line in said.replace("\t", " ").split("\n"))
