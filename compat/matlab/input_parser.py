"""inputParser, MATLAB's checker of arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyconvnet.options import did_you_mean
from pyconvnet.records import Struct

__all__ = ["inputParser"]

Validator = Callable[[Any], Any]


class inputParser:
    """Reads arguments by a plan: required ones, optional ones in their order, then 'Name', value pairs.

        p = inputParser()
        p.addRequired("x")
        p.addOptional("n", 1)
        p.addParameter("mode", "fast", check)
        p.parse(*arguments)
        p.Results.mode

    A validator returns False, or raises, where a value is not accepted. Where an optional argument's validator refuses
    a text, the text is read as the name of a parameter. Results has all values by name, sorted; Unmatched those of
    unknown names, where KeepUnmatched; UsingDefaults the names that kept their default.

    CaseSensitive False, KeepUnmatched False, PartialMatching True, StructExpand True: as in MATLAB.
    """

    def __init__(self) -> None:
        self.FunctionName = ""
        self.CaseSensitive, self.KeepUnmatched = False, False
        self.PartialMatching, self.StructExpand = True, True
        self.Results, self.Unmatched = Struct(), Struct()
        self.UsingDefaults: list[str] = []
        self._required: list[tuple[str, Validator | None]] = []
        self._optional: list[tuple[str, Any, Validator | None]] = []
        self._named: dict[str, tuple[Any, Validator | None]] = {}

    @property
    def Parameters(self) -> list[str]:
        """All names, in the order in which they are read."""
        return [n for n, _ in self._required] + [n for n, _, _ in self._optional] + list(self._named)

    def addRequired(self, name: str, validator: Validator | None = None) -> None:
        """An argument that must be given."""
        self._new(name)
        self._required.append((name, validator))

    def addOptional(self, name: str, default: Any, validator: Validator | None = None) -> None:
        """An argument that may follow those required."""
        self._new(name)
        self._optional.append((name, default, validator))

    def addParameter(self, name: str, default: Any, validator: Validator | None = None) -> None:
        """A 'Name', value pair."""
        self._new(name)
        self._named[name] = (default, validator)

    addParamValue = addParameter

    def addSwitch(self, name: str) -> None:
        """A name that stands alone and means True."""
        raise NotImplementedError("inputParser.addSwitch is not there; addParameter(name, False) is near")

    def parse(self, *arguments: Any) -> None:
        """Read arguments into Results; ValueError names the argument that is missing, unknown or not accepted."""
        rest = list(arguments)
        results: dict[str, Any] = {}
        if len(rest) < len(self._required):
            self._refuse(f"{self._required[len(rest)][0]!r} must be given")
        for name, check in self._required:
            results[name] = self._checked(name, rest.pop(0), check)
        for name, _, check in self._optional:
            if not rest or (isinstance(rest[0], str) and not (check and _accepts(check, rest[0]))):
                break  # text that is not accepted is the name of a parameter, and without a validator always
            if isinstance(rest[0], dict) and self.StructExpand and check is None:
                break
            results[name] = self._checked(name, rest.pop(0), check)
        self.Unmatched = Struct()
        pairs: list[tuple[str, Any]] = []
        while rest:
            item = rest.pop(0)
            if isinstance(item, dict) and self.StructExpand:
                pairs += item.items()
            elif not isinstance(item, str):
                self._refuse(f"a name must come next, got {type(item).__name__}: {item!r}")
            elif not rest:
                self._refuse(f"{item!r} has no value")
            else:
                pairs.append((item, rest.pop(0)))
        for given, value in pairs:
            known_as = self._named_like(given)
            if known_as is not None:
                results[known_as] = self._checked(known_as, value, self._named[known_as][1])
            elif self.KeepUnmatched:
                self.Unmatched[given] = value
            else:
                known = list(self._named)
                self._refuse(f"unknown name {given!r}; {did_you_mean(given, known, f'there are {known}')}")
        defaults = {n: d for n, d, _ in self._optional} | {n: d for n, (d, _) in self._named.items()}
        self.UsingDefaults = [n for n in defaults if n not in results]
        self.Results = Struct(sorted((defaults | results).items(), key=lambda item: item[0].lower()))

    def _named_like(self, given: str) -> str | None:
        def form(text: str) -> str:
            return text if self.CaseSensitive else text.lower()

        exact = [n for n in self._named if form(n) == form(given)]
        near = [n for n in self._named if form(n).startswith(form(given))] if self.PartialMatching and given else []
        return exact[0] if exact else near[0] if len(near) == 1 else None

    def _new(self, name: str) -> None:
        if not isinstance(name, str) or not name.isidentifier():
            raise ValueError(f"inputParser: a name must be an identifier, got {name!r}")
        if name in self.Parameters:
            raise ValueError(f"inputParser: {name!r} is there already")

    def _checked(self, name: str, value: Any, check: Validator | None) -> Any:
        if check is None:
            return value
        try:
            accepted = check(value)
        except Exception as error:  # whatever a validator of the user's own may raise
            self._refuse(f"the value of {name!r} is not accepted: {error}")
        if accepted is not None and not accepted:
            self._refuse(f"the value of {name!r} is not accepted, got {value!r}")
        return value

    def _refuse(self, reason: str) -> None:
        raise ValueError(f"{self.FunctionName or 'inputParser'}: {reason}")


def _accepts(check: Validator, value: Any) -> bool:
    try:
        accepted = check(value)
    except Exception:  # whatever a validator of the user's own may raise
        return False
    return accepted is None or bool(accepted)
