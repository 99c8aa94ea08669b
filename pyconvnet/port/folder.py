"""Translation of a folder: what its files define for one another, and the Python files that come of them."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from pyconvnet import atomic
from pyconvnet.port import names, source
from pyconvnet.port.functions import shared_parameters, unit_body
from pyconvnet.port.scope import Function, signature
from pyconvnet.text import visible

_IMPORTS = {
    "pcn": "import pyconvnet as pcn",
    "ml": "from pyconvnet.compat import matlab as ml",
    "rt": "from pyconvnet.port import runtime as rt",
}
_NAMES = ("END", "Struct", "assign", "at", "brace", "inside", "into", "paren")


@dataclass
class Folder:
    """The MATLAB files of a folder."""

    root: Path
    units: dict[str, Unit] = field(default_factory=dict)  # by module, "net_init" or "pkg.thing"
    classes: dict[str, str] = field(default_factory=dict)  # class -> module
    scripts: set[str] = field(default_factory=set)
    methods: set[str] = field(default_factory=set)
    tuples: bool = False  # whether an anonymous function may return several values
    _shares: dict[str, set[str]] = field(default_factory=dict)
    used_with: dict[str, set[int]] = field(default_factory=dict)  # function -> numbers of arguments in calls of it

    def shares(self, name: str) -> set[str]:
        """Parameters of a function with which its results may share memory."""
        if name not in self._shares:
            self._shares[name] = set()  # while it is being found out: a recursive function
            for unit in self.units.values():
                if name in unit.functions:
                    self._shares[name] = shared_parameters(unit, unit.definitions[name], unit.functions[name])
                    break
        return self._shares[name]


class Unit:
    """One file: what it defines, and its translation."""

    def __init__(self, folder: Folder, path: Path) -> None:
        self.folder, self.path = folder, path
        self.name = visible(path.relative_to(folder.root).as_posix())
        self.stem = path.stem
        parts = [p.lstrip("+@") for p in path.relative_to(folder.root).with_suffix("").parts]
        self.module = ".".join(map(names.importable, parts))
        while self.module in folder.units:  # x1x.m beside 1x.m
            self.module += "_"
        self.renamed = self.module != ".".join(parts)
        self.text = source.read(path)
        self.source_lines = self.text.split("\n")
        self.root = source.parse(self.text)
        self.counts: Counter[str] = Counter()
        self.problems: list[tuple[int, str, str]] = []
        self.kept: set[str] = set()
        self.imports: set[str] = set()
        self.functions = {
            f.name: f for n in self.root.children if n.type == "function_definition" for f in [signature(n)]
        }
        self.definitions = {signature(n).name: n for n in self.root.children if n.type == "function_definition"}
        self.class_name = ""
        for n in source.walk(self.root):
            if n.type == "class_definition":
                self.class_name = source.text_of(source.child(n, "identifier"))
                folder.classes[self.class_name] = self.module
                folder.methods |= {signature(m).name for m in source.walk(n) if m.type == "function_definition"} - {
                    self.class_name
                }
        if not self.class_name and not self.functions:
            folder.scripts.add(self.stem)

    def function(self, name: str) -> tuple[str, Function] | None:
        """The code and head of a function of this file or folder."""
        if name in self.functions:
            return names.identifier(name), self.functions[name]
        for other in self.folder.units.values():
            if other.stem == name and name in other.functions and "+" not in other.name:
                return f"{self.imported(other.module)}.{names.identifier(name)}", other.functions[name]
        return None

    def packaged(self, parts: list[str]) -> str | None:
        """The code of pkg.name, from a folder +pkg."""
        parts = [names.importable(p) for p in parts]
        other = next(
            (u for u in self.folder.units.values() if "+" in u.name and u.module.split(".")[-len(parts) :] == parts),
            None,
        )
        if other is None:
            return None
        return f"{self.imported(other.module)}.{names.identifier(other.stem)}"

    def class_code(self, name: str) -> str:
        """The code of a class of the folder."""
        module = self.folder.classes[name]
        return name if module == self.module else f"{self.imported(module)}.{name}"

    def imported(self, module: str) -> str:
        """The name of another module here."""
        self.imports.add(module)
        return names.identifier(module.split(".")[-1])

    def translated(self) -> str:
        """The Python text."""
        self.counts, self.problems = Counter(), []
        body = unit_body(self, self.root)
        code = "\n".join(
            re.sub(r'"(\\.|[^"\\])*"', '""', line.split("  # ")[0]) for line in body if not line.strip().startswith("#")
        )
        imports = ["from pathlib import Path", ""] if re.search(r"\bPath\(", code) else []
        imports += [line for name, line in _IMPORTS.items() if re.search(rf"(?<![.\w]){name}\.", code)]
        wanted = [n for n in _NAMES if re.search(rf"(?<![.\w]){n}(?![\w=]|\s=[^=])", code)]
        if wanted:
            imports.append(f"from pyconvnet.port.runtime import {', '.join(wanted)}")
        others = sorted(self.imports)
        local = [self._import(module) for module in others]
        kept = [f"{name}_kept = Struct()" for name in sorted(self.kept)]
        if kept and "Struct" not in wanted:
            imports.append("from pyconvnet.port.runtime import Struct")
        leading: list[str] = []
        while body and (not body[0] or body[0].startswith("#")):
            if body[0] or leading:
                leading.append(body[0])
            body = body[1:]
        while leading and not leading[-1]:
            leading.pop()
        named = re.sub(r'[\\"]', r"\\\g<0>", self.name)  # a file's name can end no text
        head = [
            f'"""Translated from {named} by pyconvnet port."""',
            "# isort: skip_file",
            *(["", *leading] if leading else []),
            "",
        ]
        parts = head + imports + ([""] if imports and local else []) + local + ([""] if imports or local else []) + kept
        gap = [""] if body and body[0].startswith(("def ", "class ")) else []
        text = "\n".join([*parts, *gap, *body])
        return re.sub(r"\n{4,}", "\n\n\n", text).rstrip() + "\n"

    def _import(self, module: str) -> str:
        *package, last = module.split(".")
        name = names.identifier(last)
        alias = f" as {name}" if name != last else ""
        return f"from {'.'.join(package)} import {last}{alias}" if package else f"import {last}{alias}"

    @property
    def target(self) -> Path:
        """Where the translation goes, below the output folder."""
        return Path(*self.module.split(".")).with_suffix(".py")


def read_folder(folder: str | Path) -> Folder:
    """All .m files of a folder, or the one that is named."""
    root = Path(folder)
    if not root.exists():
        raise ValueError(f"port: {folder} does not exist")
    if root.is_file() and root.suffix != ".m":
        raise ValueError(f"port: {folder} is not a .m file")
    paths = sorted(root.rglob("*.m")) if root.is_dir() else [root]
    if not paths:
        raise ValueError(f"port: {folder} has no .m file")
    found = Folder(root if root.is_dir() else root.parent)
    for path in paths:
        unit = Unit(found, path)
        found.units[unit.module] = unit
    return found


def port(folder: str | Path, out: str | Path | None = None) -> Folder:
    """Translate all .m files of a folder to Python files in `out` (FOLDER-python); returns what was done.

    Nothing of the files is run. Each unit of the result has counts of translated, uncertain and untranslated
    statements, and problems: (line, text, reason).
    """
    found = read_folder(folder)
    root = found.root.resolve()  # "." has no name
    target = Path(out) if out is not None else root.with_name(f"{root.name}-python")
    for unit in found.units.values():  # the first pass finds out how functions are called
        unit.translated()
    for unit in found.units.values():
        text = unit.translated()
        path = target / unit.target
        atomic.make_folder(path.parent)
        atomic.write(path, text)
    return found
