"""Writes the modules winograd_f2, winograd_f4 and winograd_f2x5 of the kernels: run `python tools/winograd.py`.

Winograd's (Cook's and Toom's) way to m outputs of a correlation with r filter taps takes n = m + r - 1 products instead
of r m: the input and the filter are seen as polynomials, evaluated at n - 1 points and at infinity, multiplied there,
and the products interpolated (A. Lavin and S. Gray, "Fast algorithms for convolutional neural networks", 2016). In
matrices,

    y = A' [(G g) * (B' d)]         d: n inputs, g: r taps, y: m outputs, *: element by element
    Y = A' [(G g G') * (B' d B)] A  in two dimensions, for n x n inputs, r x r taps, m x m outputs

With points p_0 .. p_{n-2}, and f_i the product of all p_i - p_j:
    row i of G   is (1, p_i, .., p_i^{r-1}) / f_i, the last is (0, .., 0, 1);
    column j of A' is (1, p_j, .., p_j^{m-1}), the last is (0, .., 0, 1);
    row i of B'  holds the coefficients of the product of all x - p_j but x - p_i, the last of all of them.
For n = 4 the points are 0, 1, -1. For n = 6 they are 0, 1, -1, 1/2, -2: half the rounding error of the usual 0, 1, -1,
2, -2. n = 8 has four times that error and is no faster. B' depends on the points only, so that F(2x2, 5x5) transforms
its inputs as F(4x4, 3x3) does.

Rows of B' for n = 6 have factors in common, which are applied first (`shared`): 14 operations instead of 20.

The generated functions work on 16 channels at a time, whose values lie together in memory.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

POINTS = {4: (0, 1, -1), 6: (0, 1, -1, Fraction(1, 2), -2)}
FOLDER = Path(__file__).parents[1] / "pyconvnet" / "backends" / "cpu"
MODULES = {"winograd_f2": (2, 3), "winograd_f4": (4, 3), "winograd_f2x5": (2, 5)}  # (m, r) of each
Matrix = list[list[Fraction]]
HEAD = '''"""Winograd's transforms for {name} on 16 channels; tools/winograd.py writes, explains them."""

import numpy as np

from pyconvnet.backends.cpu.compiled import jit
from pyconvnet.backends.cpu.llvm.simd import vadd, vfma, vload, vmul, vset1, vstore, vsub
'''


def matrices(m: int, r: int) -> tuple[Matrix, Matrix, Matrix]:
    """(A', G, B') of F(m, r), exactly."""
    n = m + r - 1
    points = [Fraction(p) for p in POINTS[n]]
    at = [[p**i for p in points] + [Fraction(i == m - 1)] for i in range(m)]
    g = [[p**j / _product(p - q for q in points if q != p) for j in range(r)] for p in points]
    g.append([Fraction(j == r - 1) for j in range(r)])
    bt = [_polynomial([q for q in points if q != p], n) for p in points] + [_polynomial(points, n)]
    return at, g, bt


def _product(factors) -> Fraction:
    out = Fraction(1)
    for f in factors:
        out *= f
    return out


def _polynomial(roots: list[Fraction], length: int) -> list[Fraction]:
    """Coefficients, lowest first, of the product of all x - root."""
    out = [Fraction(1)]
    for root in roots:
        raised = [Fraction(0), *out]
        out = [r - root * o for r, o in zip(raised, [*out, Fraction(0)])]
    return out + [Fraction(0)] * (length - len(out))


def shared(values: list[str]) -> tuple[list[tuple[str, dict[str, Fraction]]], list[dict[str, Fraction]]]:
    """B' of six values: sums that are computed first, in order, and then the rows, both as {name: factor}.

    a(x) = x^2 - 1 has the roots 1 and -1, b(x) = x^2 + 3/2 x - 1 = a(x) + 3/2 x the roots 1/2 and -2. The rows are, for
    the points 0, 1, -1, 1/2, -2 and infinity, a b, x b (x + 1), x b (x - 1), x a (x + 2), x a (x - 1/2), x a b. Here
    a<i> is x^i a, and so b<i>, applied to the values.
    """
    one, half, two, more = Fraction(1), Fraction(1, 2), Fraction(2), Fraction(3, 2)
    sums = [(f"a{i}", {values[i + 2]: one, values[i]: -one}) for i in range(4)]
    sums += [(f"b{i}", {f"a{i}": one, values[i + 1]: more}) for i in (1, 2)]
    rows = [
        {"a2": one, "a0": -one, "a1": more},
        {"b2": one, "b1": one},
        {"b2": one, "b1": -one},
        {"a2": one, "a1": two},
        {"a2": one, "a1": -half},
        {"a3": one, "a1": -one, "a2": more},
    ]
    return sums, rows


class _Function:
    """Lines of a function, and the constants it needs."""

    def __init__(self, name: str, arguments: str, help: str):
        self.head = f'\n\n@jit()\ndef {name}({arguments}):\n    """{help}"""\n'
        self.lines: list[str] = []
        self.constants: dict[Fraction, str] = {}

    def add(self, line: str) -> None:
        self.lines.append(line)

    def set_sum(self, name: str, row: list[Fraction], values: list[str]) -> None:
        """name = sum of row[i] values[i], in fused multiply-adds; terms with factor 1 first."""
        terms = sorted(((c, v) for c, v in zip(row, values) if c), key=lambda t: (t[0] != 1, abs(t[0]) != 1))
        text = None
        for c, v in terms:
            if c in (1, -1) and text is not None:
                text = f"{'vadd' if c == 1 else 'vsub'}({text}, {v})"
            elif c == 1:
                text = v
            elif text is None:
                text = f"vmul({self.constant(c)}, {v})"
            else:
                text = f"vfma({self.constant(c)}, {v}, {text})"
        self.add(f"{name} = {text}")

    def constant(self, c: Fraction) -> str:
        return self.constants.setdefault(c, f"k{len(self.constants)}")

    def product(self, matrix: Matrix, values: list[str], names: list[str]) -> None:
        """names = matrix values; columns that belong to points p and -p share sums and differences of their values."""
        columns = [list(c) for c in zip(*matrix)]
        kept_columns, kept_values, done = [], [], set()
        for i, column in enumerate(columns):
            if i in done:
                continue
            mate = next((j for j in range(i + 1, len(columns)) if columns[j] == _mirrored(column)), None)
            if mate is None or sum(map(bool, column)) < 2:
                kept_columns.append(column)
                kept_values.append(values[i])
                continue
            done.add(mate)
            self.add(f"even{i} = vadd({values[i]}, {values[mate]})")
            self.add(f"odd{i} = vsub({values[i]}, {values[mate]})")
            kept_columns += [[c if r % 2 == 0 else Fraction(0) for r, c in enumerate(column)]]
            kept_columns += [[c if r % 2 else Fraction(0) for r, c in enumerate(column)]]
            kept_values += [f"even{i}", f"odd{i}"]
        for row, name in zip(zip(*kept_columns), names):
            self.set_sum(name, list(row), kept_values)

    def text(self) -> str:
        constants = [f"{name} = vset1(np.float32({float(c)!r}))" for c, name in self.constants.items()]
        return self.head + "".join(f"    {line}\n" for line in constants + self.lines)


def _mirrored(column: list[Fraction]) -> list[Fraction]:
    return [c if r % 2 == 0 else -c for r, c in enumerate(column)]


def _two_sided(f: _Function, matrix: Matrix, load: str, store: str) -> None:
    """matrix X matrix', for X loaded from and the result stored to the addresses that the patterns give for i, j."""
    rows, n = len(matrix), len(matrix[0])
    for i in range(n):
        for j in range(n):
            f.add(f"d{j} = vload({load.format(i=i, j=j, q=i * n + j)})")
        f.product(matrix, [f"d{j}" for j in range(n)], [f"t{i}_{j}" for j in range(rows)])
    for j in range(rows):
        f.product(matrix, [f"t{i}_{j}" for i in range(n)], [f"o{i}" for i in range(rows)])
        for i in range(rows):
            f.add(store.format(i=i, j=j, q=i * rows + j))


def _six_by_six(f: _Function, load: str, store: str) -> None:
    """The same for B' of six values: X does not fit into registers, so its rows, transformed, go to `spare`."""
    n = 6
    kept = f"spare + 64 * ({n} * {{i}} + {{j}})"
    ins, outs = [f"d{k}" for k in range(n)], [f"o{k}" for k in range(n)]
    sums, rows = shared(ins)
    for loop, source, target in (("i", load, kept), ("j", kept, store)):
        places = [(loop, k) if loop == "i" else (k, loop) for k in range(n)]
        f.add(f"for {loop} in range({n}):")
        start = len(f.lines)
        for (i, j), name in zip(places, ins):
            f.add(f"{name} = vload({source.format(i=i, j=j)})")
        for name, terms in [*sums, *zip(outs, rows)]:
            f.set_sum(name, list(terms.values()), list(terms))
        for (i, j), name in zip(places, outs):
            f.add(f"vstore({target.format(i=i, j=j)}, {name})")
        f.lines[start:] = ["    " + line for line in f.lines[start:]]


def source(m: int, r: int) -> str:
    """The text of the module for F(m x m, r x r)."""
    at, g, bt = matrices(m, r)
    if m + r - 1 == 4:
        inputs = _Function("input_transform", "x, row, column, out, step", "B' x B; strides in bytes.")
        _two_sided(inputs, bt, "x + {i} * row + {j} * column", "vstore(out + {q} * step, o{i})")
    else:
        help = "B' x B; strides in bytes; `spare`: memory for as much as the input."
        inputs = _Function("input_transform", "x, row, column, out, step, spare", help)
        _six_by_six(inputs, "x + {i} * row + {j} * column", "out + (6 * {i} + {j}) * step")
    filters = _Function("filter_transform", "f, tap, out, step", "G f G'; strides in bytes.")
    _two_sided(filters, g, "f + {q} * tap", "vstore(out + {q} * step, o{i})")
    outputs = _Function(
        "output_transform",
        "x, step, bias, relu, out, row, column",
        "A' x A + bias, with relu not below 0; strides in bytes.",
    )
    outputs.add("b = vload(bias)")
    outputs.add("z = vset1(np.float32(0))")
    rectified = "vmax(vadd(o{i}, b), z) if relu else vadd(o{i}, b)"
    _two_sided(outputs, at, "x + {q} * step", f"vstore(out + {{i}} * row + {{j}} * column, {rectified})")
    head = HEAD.format(name=f"F({m}x{m}, {r}x{r})").replace("vload, ", "vload, vmax, ")
    return head + (inputs.text() if r == 3 else "") + filters.text() + outputs.text()


if __name__ == "__main__":
    for name, (m, r) in MODULES.items():
        (FOLDER / f"{name}.py").write_text(source(m, r), encoding="utf-8")
