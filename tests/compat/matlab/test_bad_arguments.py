"""Every function of pyconvnet.compat.matlab, called with what it is not meant for, answers or names itself.

The functions come from `__all__`, so that a new one is tried as well.
"""

import inspect
import itertools
import re
import warnings

import numpy as np
import pytest

from pyconvnet.compat import matlab

VALUES = {
    "None": None,
    "text": "a",
    "number": 3,
    "NaN": np.nan,
    "negative": -1.5,
    "infinite": np.inf,
    "ragged list": [[1, 2], [3]],
    "mixed list": ["a", 1],
    "matrix": np.arange(6.0).reshape(2, 3),
    "uint8": np.ones((2, 3), np.uint8),
    "three dimensions": np.ones((2, 2, 2)),
    "empty": np.zeros((0, 0)),
    "struct": {"a": 1},
    "function": lambda *values: 1.0,
}
FEWER = ("None", "text", "number", "NaN", "ragged list", "matrix", "empty", "function")  # of three arguments and more
FUNCTIONS = [name for name in matlab.__all__ if callable(getattr(matlab, name))]


def names_for(count):
    return itertools.product(VALUES if count < 3 else FEWER, repeat=count)


def complaint(name, arguments, options=()):
    """What is wrong with the answer: None for a value, or for a refusal that begins with the function's name."""
    try:
        getattr(matlab, name)(*(VALUES[a] for a in arguments), **{k: VALUES[v] for k, v in options})
    except (TypeError, ValueError, NotImplementedError) as error:
        if re.match(rf"{name}\b", str(error)):
            return None
        return f"{name}{arguments} {dict(options)}: {type(error).__name__} {error}"
    except OSError as error:  # names the file
        return None if error.filename else f"{name}{arguments}: {error!r}"
    except Exception as error:
        return f"{name}{arguments} {dict(options)}: {error!r}"
    return ""


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_answers_or_refuses_by_its_name(name, tmp_path, monkeypatch, capsys):
    if name == "vl_tshow":
        pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    parameters = inspect.signature(getattr(matlab, name)).parameters.values()
    placed = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    least = sum(p.default is p.empty for p in placed)
    most = max(least, 3 if any(p.kind is p.VAR_POSITIONAL for p in parameters) else min(len(placed), 3))
    found, answered = [], []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for count in range(least, most + 1):
            for arguments in names_for(count):
                said = complaint(name, arguments)
                if said == "":
                    answered.append(arguments)
                elif said:
                    found.append(said)
        options = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
        for arguments, option, value in itertools.product(answered[:2], options, VALUES):
            found.append(complaint(name, arguments, [(option, value)]))
    assert not [f for f in found if f][:5]
