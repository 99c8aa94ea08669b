"""What the operator tests share: MatConvNet's cases from matlab_fixtures/ops, and a derivative check."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

ROOT = Path(__file__).resolve().parents[1]
FIXTURES = ROOT / "matlab_fixtures"
TOLERANCE = {np.dtype(np.float32): 2e-5, np.dtype(np.float64): 1e-8}


def python(code: str, *args: Any, timeout: float = 300, **options: Any) -> subprocess.CompletedProcess:
    """Run code in a process of its own, with the pyconvnet of this checkout, installed or not; sys.argv[1:] is args."""
    mount = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import conftest\n"
    command = [sys.executable, "-c", mount + code, *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, **options)


def script(path: Path, *args: Any, **options: Any) -> subprocess.CompletedProcess:
    """Run a script of the checkout as `python path args` does."""
    run = f"import runpy; sys.path.insert(0, {str(path.parent)!r}); sys.argv[0] = {str(path)!r}\n"
    return python(f"{run}runpy.run_path(sys.argv[0], run_name='__main__')", *args, **options)


@dataclass
class Case:
    """One call of MatConvNet: what went in, what came out, or that it was refused."""

    name: str
    fn: str
    inputs: list[Any]
    options: list[Any]
    outputs: list[Any]
    dzdy: Any
    ders: list[Any]
    expect: str
    message: str

    def __str__(self) -> str:
        return self.name

    @property
    def keywords(self) -> dict[str, Any]:
        """The options as keywords, the last of equal names; a name without value is a flag."""
        out, items = {}, list(self.options)
        while items:
            name = items.pop(0)
            out[name] = True if not items or name == "spatial" else items.pop(0)
        return out


def cases(fn: str) -> list[Case]:
    """All cases of one operator."""
    found = scipy.io.loadmat(FIXTURES / "ops" / f"{fn}.mat", struct_as_record=False)["cases"].ravel()
    out = []
    for i, cell in enumerate(found):
        s = cell[0, 0]
        out.append(
            Case(
                f"{fn}-{i}",
                _plain(s.fn),
                _plain(s.inputs),
                _plain(s.options),
                _plain(s.outputs),
                _plain(s.dzdy),
                _plain(s.ders),
                _plain(s.expect),
                _plain(s.message),
            )
        )
    return out


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.dtype == object:
        return [_plain(v) for v in value.ravel(order="F")]
    if isinstance(value, np.ndarray) and value.dtype.kind in "US":
        return str(value.ravel()[0]) if value.size else ""
    return value


def assert_close(ours: Any, theirs: np.ndarray, what: str = "", tolerance: float | None = None) -> None:
    """Equal within the tolerance of the type, relative to the largest value, modulo trailing dimensions of 1."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    if theirs.size == 0:
        assert ours.size == 0 or ours.item() is None, what
        return
    assert _core(ours.shape) == _core(theirs.shape), f"{what}: {ours.shape} for {theirs.shape}"
    theirs = theirs.reshape(ours.shape, order="F")
    assert np.array_equal(np.isnan(ours), np.isnan(theirs)), what
    worst = np.nanmax(np.abs(ours - theirs), initial=0)
    tolerance = TOLERANCE[theirs.dtype] if tolerance is None else tolerance
    limit = tolerance * max(np.nanmax(np.abs(theirs), initial=0), 1e-30)
    assert worst <= limit, f"{what}: {worst:.3g} off, {limit:.3g} allowed"


def _core(shape: tuple[int, ...]) -> tuple[int, ...]:
    while shape and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def check_case(fn: Any, case: Case, derivative_at: int | None = None) -> None:
    """The operator agrees with the case, given its options both ways, and refuses what MatConvNet refuses.

    derivative_at  position of dzdy among the arguments; after the inputs if not given
    """
    for options in ("pairs", "keywords"):
        args = case.options if options == "pairs" else []
        keywords = {} if options == "pairs" else case.keywords
        if case.expect == "error":
            try:
                fn(*case.inputs, *args, **keywords)
            except (ValueError, TypeError) as e:
                assert str(e).startswith(case.fn), str(e)
                continue
            raise AssertionError(f"{case.name}: MatConvNet refuses this: {case.message}")
        outputs = as_list(fn(*case.inputs, *args, **keywords))
        for i, theirs in enumerate(case.outputs):
            check_kind(outputs[i], theirs, case.inputs)
            assert_close(outputs[i], theirs, f"{case.name} output {i}")
        if not case.ders:
            continue
        ders = as_list(fn(*case.inputs, case.dzdy, *args, **keywords))
        for i, theirs in enumerate(case.ders):
            if np.size(theirs):
                check_kind(ders[i], theirs, case.inputs)
                assert_close(ders[i], theirs, f"{case.name} derivative {i}")
            else:
                assert ders[i] is None or np.size(ders[i]) == 0


def check_kind(ours: Any, theirs: Any, inputs: list[Any]) -> None:
    """Element type of the input. MatConvNet's is another in one place: it counts top-k errors in double."""
    assert isinstance(ours, np.ndarray)
    first = inputs[0][0] if isinstance(inputs[0], list) else inputs[0]
    assert ours.dtype == first.dtype


def as_list(value: Any) -> list[Any]:
    """What an operator returns, as a list."""
    return list(value) if isinstance(value, (tuple, list)) else [value]


def check_derivative(forward: Any, backward: Any, *arrays: np.ndarray, seed: int = 0, tolerance: float = 1e-6) -> None:
    """backward(dzdy) agrees with the slope of <dzdy, forward(...)> along one random direction of all arrays."""
    rng = np.random.default_rng(seed)
    y = np.asarray(forward(*arrays))
    dzdy = rng.standard_normal(y.shape)
    directions = [rng.standard_normal(a.shape) for a in arrays]
    step = 1e-6
    plus = np.sum(dzdy * forward(*(a + step * d for a, d in zip(arrays, directions))))
    minus = np.sum(dzdy * forward(*(a - step * d for a, d in zip(arrays, directions))))
    numeric = (plus - minus) / (2 * step)
    ders = as_list(backward(*arrays, dzdy))
    exact = sum(np.sum(np.reshape(g, d.shape) * d) for g, d in zip(ders, directions) if g is not None)
    scale = max(abs(exact), abs(numeric), 1e-3 * np.abs(dzdy).sum())
    assert abs(exact - numeric) <= tolerance * scale, f"{exact} by derivative, {numeric} by difference"


def run_cli(capsys: Any, *args: Any) -> tuple[int, str, str]:
    """(exit code, standard output, standard error) of a command of pyconvnet, run in this process."""
    from pyconvnet.cli import main

    code = main([str(a) for a in args])
    said = capsys.readouterr()
    return code, said.out, said.err
