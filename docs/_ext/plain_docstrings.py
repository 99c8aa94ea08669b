"""Docstrings of plain text, with aligned columns and `code`, as reStructuredText for autodoc.

A block of a docstring is what stands between empty lines. In it

    name     what it is             makes a definition list; `name  text    name  text` two entries of it
    f(x) -> y    x: H x W x C x N   a call, with the sizes of its arguments beneath
    Raises ..., Source: ...         fields
    >>> f(1)                        an example
    - item, 1. item                 lists, whose items are blocks again

A line of prose goes on in the next one if it is full or in the middle of a sentence. Columns that are none of this stay
as they are, in a block of code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

FULL = 90  # characters
_CALL = re.compile(r"[A-Za-z_][\w.]*\(.*")
_ITEM = re.compile(r"(- |\d+\. )")
_FIELD = re.compile(r"(Raises|Sources?)(?::| ) ?(.*)", re.DOTALL)
_NAME = re.compile(
    r"(?<![`\w./+])(?:pyconvnet\.[\w.]*\w|vl_\w+|cnn_train\w*|(?:models|view|DagNN)\.\w+)(?![\w`/-])(?!\.\w)"
)
_FORMULA = re.compile(r"\w+(?:\[[^]]*\]|\([^)]*\))? (?:=|<-) ")


def rest(lines: list[str]) -> list[str]:
    """The lines of a docstring as lines of reStructuredText."""
    out: list[str] = []
    for block in _blocks(lines):
        out += [*_block(block), ""]
    return out


def _blocks(lines: list[str]) -> Iterator[list[str]]:
    """What stands between empty lines; code, whose lines are all indented, and items of lists, as one block."""
    block: list[str] = []
    for i, line in enumerate(lines):
        if line.strip():
            block.append(line)
            continue
        following = next((later for later in lines[i:] if later.strip()), "")
        if block and following.startswith("  ") and block[0].startswith("  "):
            block.append("")
        elif block:
            yield block
            block = []
    if block:
        yield block


def _block(block: list[str]) -> list[str]:
    if block[0].startswith(">>>"):
        return block
    if all(line.startswith("  ") or not line for line in block):
        return _code(block)
    out: list[str] = []
    at = 0
    while at < len(block):
        for kind in (_items, _calls, _entries, _prose):
            made, end = kind(block, at)
            if end > at:
                out += [*made, ""]
                at = end
                break
        else:  # columns of another kind: from here to the end as they are
            return [*out, *_code(block[at:])]
    return out


def _code(lines: list[str]) -> list[str]:
    least = min(len(line) - len(line.lstrip()) for line in lines if line)
    language = "python" if any(re.match(r"\s*(def|class) ", line) for line in lines) else "text"
    return [f".. code-block:: {language}", "", *(f"   {line[least:]}".rstrip() for line in lines), ""]


def _items(block: list[str], at: int) -> tuple[list[str], int]:
    """- or 1. and the lines that are indented under it."""
    marker = _ITEM.match(block[at])
    if not marker:
        return [], at
    end = at + 1
    while end < len(block) and block[end].startswith("  "):
        end += 1
    width = len(marker[0])
    body = [block[at][width:], *(line[width:] for line in block[at + 1 : end])]
    made = _block(body)
    return [marker[0] + made[0], *((" " * width + line).rstrip() for line in made[1:])], end


def _calls(block: list[str], at: int) -> tuple[list[str], int]:
    """f(x) -> y    x: H x W x C x N: what it looks like, and what is said of it, perhaps on further lines."""
    out: list[str] = []
    end = at
    while end < len(block):
        if _CALL.match(block[end]) and ("->" in block[end] or "  " in block[end] or _is_call(block[end])):
            call, *said = re.split(r"  +", block[end])
        elif out and block[end].startswith("      "):
            call, *said = "", *re.split(r"  +", block[end].strip())
        else:
            break
        out += [f"| {_literal(call)}"] if call else []
        out += [f"|     {_text(';  '.join(said))}"] if said else []
        end += 1
    return out, end


def _is_call(line: str) -> bool:
    return re.fullmatch(r"[\w.]+\([^()]*\)", line) is not None


def _entries(block: list[str], at: int) -> tuple[list[str], int]:
    """name  text, of which all texts start in one column; lines that are indented to it go on."""
    parts = re.match(r"\S+(?: \S+)*(  +)(?=\S)", block[at])
    if not parts or _formulas(block[at]):
        return [], at
    column, end = len(parts[0]), at
    found: list[tuple[str, list[str]]] = []
    while end < len(block):
        line = block[end]
        if line.startswith(" " * column) and line[column : column + 1].strip() and found:
            found[-1][1].append(line[column:])
        elif found and _stands_alone(block[end : end + 2], column):
            found.append((line, []))
        elif line[column - 2 : column] == "  " and line[:1].strip() and line[column : column + 1].strip():
            head = line[:column].rstrip()
            texts = re.split(r"  +", line[column:])
            if "  " in head or len(texts) % 2 == 0:
                break
            found.append((head, [texts[0]]))
            found += [(texts[i], [texts[i + 1]]) for i in range(1, len(texts), 2)]
        else:
            break
        end += 1
    if not found or (end < len(block) and block[end].startswith("  ")):
        return [], at
    out: list[str] = []
    in_words = any(name[0].isupper() and " " in name for name, _ in found)  # "What comes in", which is no code
    for name, text in found:
        if any("  " in line for line in text):
            return [], at
        out += [name if in_words else _terms(name), f"   {_text(' '.join(text))}"]
    return out, end


def _stands_alone(lines: list[str], column: int) -> bool:
    """Whether the first of two lines is a name, or several, longer than their column; the text is in the second."""
    name, text = (*lines, "")[:2]
    in_column = text[:column].isspace() and text[column : column + 1].strip()
    return bool(in_column and len(name) >= column - 1 and name[:1].strip() and "  " not in name)


def _terms(name: str) -> str:
    """Names before a comma or "and" each by itself; what is no name or value is text."""
    parts = re.split(r"(, )", name)
    return "".join(part if part == ", " else _literal(part) for part in parts)


def _formulas(line: str) -> list[str]:
    """The formulas of a line that has several, side by side."""
    parts = re.split(r"  +", line)
    return parts if len(parts) > 1 and all(_FORMULA.match(part) for part in parts) else []


def _prose(block: list[str], at: int) -> tuple[list[str], int]:
    """Lines without columns: a paragraph; fields; or lines that end where they do."""
    end = at
    texts: list[str] = []
    goes_on = False
    sentences = all(line.endswith(".") for line in block[at:])
    while end < len(block):
        line = block[end]
        if end > at and (_ITEM.match(line) or (_CALL.match(line) and "->" in line)):
            break
        if several := _formulas(line):
            texts += several
            goes_on = False
            end += 1
            continue
        if "  " in line.strip() or (line.startswith("  ") and not goes_on):
            break
        if goes_on and not _FIELD.match(line) and not _FORMULA.match(line):
            texts[-1] += " " + line.strip()
        else:
            texts.append(line)
        goes_on = not sentences and (len(line) >= FULL or not line.endswith((".", ":", ";")))
        end += 1
    out: list[str] = []
    free: list[str] = []
    for text in texts:
        if field := _FIELD.fullmatch(text):
            out += [*_lines(free), f":{field[1]}: {_text(field[2])}"]
            free = []
        else:
            free.append(text)
    return [*out, *_lines(free)], end


def _lines(texts: list[str]) -> list[str]:
    if len(texts) == 1:
        return [f"\\ {_text(texts[0])}", ""]
    return [*(f"| {_text(text)}" for text in texts), ""] if texts else []


def _literal(text: str) -> str:
    text = text.strip("`")
    return f"``{text}``" if text else ""


def _text(text: str) -> str:
    """Prose without marks of reStructuredText, but for `code`; names of the library are code."""
    parts = re.split(r"`([^`]+)`", _NAME.sub(r"`\g<0>`", text))
    plain = [re.sub(r"([\\*|_`<>]|(?<=file):)", r"\\\1", part) for part in parts[::2]]
    code = [f"\\ ``{part.strip()}``\\ " for part in parts[1::2]]
    return "".join(a + b for a, b in zip(plain, [*code, ""]))


def _process(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = rest(lines) + _layer_facts(obj)


def _is_layer(obj: Any) -> bool:
    from pyconvnet.layers import Layer

    return isinstance(obj, type) and issubclass(obj, Layer) and obj is not Layer


def _types(cls: type[Any]) -> tuple[str, ...]:
    """The types of a SimpleNN whose layers are of this class; a class may inherit those of its base."""
    from pyconvnet.layers import layer_class

    types = (cls.simplenn,) if isinstance(cls.simplenn, str) else cls.simplenn or ()
    return tuple(t for t in types if layer_class(t) is cls)


def _layer_facts(obj: Any) -> list[str]:
    """What a layer is in a SimpleNN, which its class says."""
    if not _is_layer(obj) or not (types := _types(obj)):
        return []
    fields = ", ".join([f"{name} {value!r}" for name, value in obj.simplenn_fields.items()] + [*obj.simplenn_inputs])
    said = f", with the fields {_text(fields)}" if fields else ""
    return [f":In a SimpleNN: type {', '.join(_literal(repr(t)) for t in types)}{said}", ""]


def _signature(app: Sphinx, what: str, name: str, obj: Any, options: Any, given: str, returned: str) -> Any:
    """Layers are made with their properties."""
    if what == "class" and _is_layer(obj):
        return f"({', '.join(f'{field}={value!r}' for field, value in obj._fields.items())})", None
    return None


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("autodoc-process-docstring", _process)
    app.connect("autodoc-process-signature", _signature)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
