"""Text taken apart and put together: strsplit, strjoin, regexp, regexpi, regexprep."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import numpy as np

from pyconvnet.compat.matlab.conventions import named_options, outputs, texts
from pyconvnet.compat.matlab.formatted import unescaped
from pyconvnet.records import Struct, StructArray

__all__ = ["regexp", "regexpi", "regexprep", "strjoin", "strsplit"]

_SPACES = (" ", "\f", "\n", "\r", "\t", "\v")
_WANTED = ("match", "tokens", "names", "start", "end", "split", "tokenExtents")
_OPTIONS = ("once", "ignorecase", "matchcase", "lineanchors", "stringanchors", "dotall", "dotexceptnewline",
            "freespacing", "literalspacing", "emptymatch", "noemptymatch", "forceCellOutput", "warnings")  # fmt: skip


def strsplit(text: str, delimiter: Any = None, *pairs: Any, nargout: int = 1, **options: Any) -> Any:
    """The parts of a text between delimiters: a list.

    delimiter           a text, with escapes such as \\n, or a list of them; white space unless given
    CollapseDelimiters  True: delimiters next to each other count as one, as in MATLAB
    DelimiterType       "Simple" or "RegularExpression"
    nargout             2: (parts, the delimiters between them)

    >>> strsplit("a,b,,c", ","), strsplit("a,b,,c", ",", "CollapseDelimiters", False)
    (['a', 'b', 'c'], ['a', 'b', '', 'c'])
    """
    if not isinstance(text, str):
        raise TypeError(f"strsplit: the text must be text, got {type(text).__name__}")
    if isinstance(delimiter, str) and delimiter in ("CollapseDelimiters", "DelimiterType"):
        delimiter, pairs = None, (delimiter, *pairs)
    given = named_options("strsplit", pairs, ("CollapseDelimiters", "DelimiterType"), options)
    known = _SPACES if delimiter is None else texts("strsplit: delimiter", delimiter)
    if str(given.get("DelimiterType", "Simple")).lower().startswith("reg"):
        pattern = "|".join(f"(?:{_compiled('strsplit', d, ()).pattern})" for d in known)
    else:
        longest_first = sorted((unescaped(d) for d in known), key=len, reverse=True)
        pattern = "|".join(map(re.escape, longest_first))
    if bool(np.all(given.get("CollapseDelimiters", True))):
        pattern = f"(?:{pattern})+"
    parts, between, at = [], [], 0
    for m in re.finditer(pattern, text, re.DOTALL):
        if m.end() > m.start():
            parts.append(text[at : m.start()])
            between.append(m[0])
            at = m.end()
    return outputs("strsplit", [[*parts, text[at:]], between], nargout)


def strjoin(parts: Sequence[str], delimiter: Any = " ") -> str:
    """Texts in one, with a delimiter between them (escapes such as \\n are understood), or a list of delimiters."""
    joined = list(parts) if isinstance(parts, Iterable) else [parts]
    if isinstance(parts, str) or not all(isinstance(p, str) for p in joined):
        raise TypeError("strjoin: parts must be a list of texts")
    between = texts("strjoin: delimiter", delimiter)
    if isinstance(delimiter, str):
        return unescaped(delimiter).join(joined)
    if len(between) != max(len(joined) - 1, 0):
        raise ValueError(f"strjoin: {len(joined)} parts must have {len(joined) - 1} delimiters, got {len(between)}")
    return "".join(p + unescaped(d) for p, d in zip(joined, [*between, ""]))


def regexp(text: Any, pattern: str, *options: str, nargout: int | None = None) -> Any:
    """Where and how a regular expression of MATLAB's matches.

    options  what is returned: "match" the texts, "tokens" for each the list of what is in parentheses (all of it where
             there are none), "names" a Struct of (?<name>...), "start" and "end" positions from 1, "split" what lies
             between; several give a tuple. Without any: start, end, tokenExtents, match, tokens, names, split, of
             which the first or, with nargout, as many.
             "once": of the first match only, empty where there is none; "ignorecase", "lineanchors",
             "dotexceptnewline", "freespacing", "emptymatch" and their opposites

    Of a list of texts, a list of results. As in MATLAB, a dot matches line ends too, and ^ and $ only the ends of text.

    >>> regexp("net-epoch-12.mat", r"net-epoch-(\\d+)\\.mat", "tokens", "once")
    ['12']
    >>> regexp("ab12", "(?<word>[a-z]+)(?<number>\\\\d+)", "names")
    Struct(word='ab', number='12')
    """
    return _searched("regexp", text, pattern, options, nargout)


def regexpi(text: Any, pattern: str, *options: str, nargout: int | None = None) -> Any:
    """regexp in any letter case."""
    return _searched("regexpi", text, pattern, (*options, "ignorecase"), nargout)


def _searched(fn: str, text: Any, pattern: str, options: Sequence[str], nargout: int | None) -> Any:
    if isinstance(text, (list, tuple)):
        return [_searched(fn, t, pattern, options, nargout) for t in text]
    words = _words(fn, options, (*_WANTED, *_OPTIONS))
    once, found = "once" in words, _found(fn, text, pattern, words)
    results: dict[str, list[Any]] = {
        "start": [m.start() + 1 for m in found],
        "end": [m.end() for m in found],
        "tokenExtents": [_extents(m) for m in found],
        "match": [m[0] for m in found],
        "tokens": [[g or "" for g in m.groups()] or [m[0]] for m in found],
    }
    none: dict[str, Any] = {"match": "", "tokens": []}
    values: dict[str, Any] = {}
    for name, each in results.items():
        numbers = name in ("start", "end")
        if once:
            values[name] = each[0] if each else none.get(name, np.zeros((0, 0)))
        else:
            values[name] = np.array(each, float).reshape(1, -1) if numbers else each
    names = [Struct((k, v or "") for k, v in m.groupdict().items()) for m in found]
    values["names"] = names[0] if len(names) == 1 else StructArray(names) if names else Struct()
    ends = [0, *(m.end() for m in found)]
    starts = [*(m.start() for m in found), len(text)]
    values["split"] = [text[a:b] for a, b in zip(ends, starts)]
    wanted = [w for w in words if w in _WANTED]
    rest = [w for w in ("start", "end", "tokenExtents", "match", "tokens", "names", "split") if w not in wanted]
    count = max(len(wanted), 1) if nargout is None else nargout
    return outputs(fn, [values[w] for w in (*wanted, *rest)], count)


def regexprep(text: Any, pattern: Any, replacement: Any, *options: str) -> Any:
    """Text with what matches replaced; $1 in the replacement is the first token. "once": the first match only.

    Matches without a character are passed over, as in MATLAB, unless "emptymatch" is given.
    """
    if isinstance(text, (list, tuple)):
        return [regexprep(t, pattern, replacement, *options) for t in text]
    if isinstance(pattern, (list, tuple)):
        others = replacement if isinstance(replacement, (list, tuple)) else [replacement] * len(pattern)
        if len(others) != len(pattern):
            raise ValueError(f"regexprep: {len(pattern)} patterns must have as many replacements, got {len(others)}")
        for p, r in zip(pattern, others):
            text = regexprep(text, p, r, *options)
        return text
    if not isinstance(replacement, str):
        raise TypeError(f"regexprep: replacement must be text, got {type(replacement).__name__}")

    def replaced(m: re.Match[str]) -> str:
        def token(t: re.Match[str]) -> str:
            n = int(t[1])
            return (m[n] or "") if n <= m.re.groups else t[0]

        return re.sub(r"(?<!\\)\$(\d)", token, unescaped(replacement.replace("\\$", "\0"))).replace("\0", "$")

    out, at = "", 0
    for m in _found("regexprep", text, pattern, _words("regexprep", options, _OPTIONS)):
        out, at = out + text[at : m.start()] + replaced(m), m.end()
    return out + text[at:]


def _words(fn: str, options: Sequence[str], accepted: Sequence[str]) -> list[str]:
    lower = {w.lower(): w for w in accepted}
    for word in options:
        if not isinstance(word, str) or word.lower() not in lower:
            raise ValueError(f"{fn}: the option must be one of {', '.join(accepted)}, got {word!r}")
    return [lower[word.lower()] for word in options]


def _found(fn: str, text: Any, pattern: Any, words: Sequence[str]) -> list[re.Match[str]]:
    """The matches, with "once" the first at most; empty ones only with "emptymatch"."""
    if not isinstance(text, str) or not isinstance(pattern, str):
        raise TypeError(f"{fn}: text and pattern must be text, got {type(text).__name__}, {type(pattern).__name__}")
    found = (m for m in _compiled(fn, pattern, words).finditer(text) if "emptymatch" in words or m.end() > m.start())
    return list(islice(found, 1 if "once" in words else None))


def _compiled(fn: str, pattern: str, words: Sequence[str]) -> re.Pattern[str]:
    flags = 0 if "dotexceptnewline" in words else re.DOTALL
    flags |= re.IGNORECASE if "ignorecase" in words else 0
    flags |= re.MULTILINE if "lineanchors" in words else 0
    flags |= re.VERBOSE if "freespacing" in words else 0
    try:
        return re.compile(_translated(fn, pattern, "lineanchors" in words), flags)
    except re.error as error:
        raise ValueError(f"{fn}: the pattern {pattern!r} cannot be read: {error}") from None


def _translated(fn: str, pattern: str, lines: bool) -> str:
    """MATLAB's pattern in Python's words."""
    out, i, in_class = [], 0, False
    while i < len(pattern):
        c, rest = pattern[i], pattern[i:]
        if c == "\\" and i + 1 < len(pattern):
            code = pattern[i + 1]
            out.append({"<": r"\b(?=\w)", ">": r"\b(?<=\w)", "e": r"\x1b"}.get(code, rest[:2]))
            i += 2
            continue
        if in_class:
            in_class = c != "]"
            out.append("\\[" if c == "[" else c)
        elif rest.startswith("[^]") or rest.startswith("[]"):
            raise ValueError(f"{fn}: the set in {pattern!r} must not begin with ]")
        elif c == "[":
            in_class = True
            out.append(c)
        elif re.match(r"\(\?<[A-Za-z]", rest):
            out.append("(?P<")
            i += 3
            continue
        elif c == "$" and not lines:
            out.append(r"\Z")
        else:
            out.append(c)
        i += 1
    return "".join(out)


def _extents(m: re.Match[str]) -> np.ndarray:
    spans = [m.span(k) for k in range(1, m.re.groups + 1)] or [m.span()]
    return np.array([[a + 1, b] for a, b in spans], float)
