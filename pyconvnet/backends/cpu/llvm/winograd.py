"""Winograd's transforms of tiles, written in LLVM IR from their matrices.

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

The derivative with respect to the filters is this backwards: dG = G' [sum over tiles of (B' d B) * (A dY A')] G; that
with respect to a tile of inputs is B [(G g G') * (A dY A')] B'.

The functions work on 16 channels at a time, whose values lie together in memory. Kernels are given their addresses, so
that none of these compiles them again.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from llvmlite import ir

from pyconvnet.backends.cpu.llvm.ir import I1, I64, V16, at, counted, fma, splat, store_past, zeros
from pyconvnet.backends.cpu.llvm.language import op

POINTS = {4: (0, 1, -1), 6: (0, 1, -1, Fraction(1, 2), -2)}
Matrix = list[list[Fraction]]
VARIANTS = (2, 3), (4, 3), (2, 5), (3, 2)  # F(m x m, r x r), as (m, r)
# Strides in bytes; `spare` is memory for as much as the input, `relu` a truth value.
_INPUTS = "x row column out step spare".split()
_FILTERS = "f tap out step".split()
_OUTPUTS = "x step bias relu out row column".split()


def matrices(m: int, r: int) -> tuple[Matrix, Matrix, Matrix]:
    """(A', G, B') of F(m, r), exactly."""
    n = m + r - 1
    points = [Fraction(p) for p in POINTS[n]]
    at_points = [[p**i for p in points] + [Fraction(i == m - 1)] for i in range(m)]
    g = [[p**j / _product(p - q for q in points if q != p) for j in range(r)] for p in points]
    g.append([Fraction(j == r - 1) for j in range(r)])
    bt = [_polynomial([q for q in points if q != p], n) for p in points] + [_polynomial(points, n)]
    return at_points, g, bt


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
    """Writes the IR of a function; `values` holds vectors by their names."""

    def __init__(self, module: ir.Module, name: str, arguments: list[str]) -> None:
        self.fn = ir.Function(module, _function_type(arguments), name)
        self.build = ir.IRBuilder(self.fn.append_basic_block("entry"))
        self.arg = dict(zip(arguments, self.fn.args))
        self.values: dict[str, ir.Value] = {}

    def place(self, base: str, *steps: tuple[int | ir.Value, str | int]) -> ir.Value:
        """The address base + the sum of number * step, a step being an argument or bytes."""
        where = self.arg[base]
        for number, step in steps:
            factor = self.arg[step] if isinstance(step, str) else I64(step)
            where = self.build.add(where, self.build.mul(factor, I64(number) if isinstance(number, int) else number))
        return where

    def load(self, name: str, where: ir.Value) -> None:
        self.values[name] = self.build.load(at(self.build, where, V16), align=4)

    def store(self, where: ir.Value, value: ir.Value, stream: bool = False) -> None:
        place = at(self.build, where, V16)
        store_past(self.build, value, place) if stream else self.build.store(value, place, align=4)

    def set_sum(self, name: str, terms: dict[str, Fraction]) -> None:
        """name = sum of factor * value, in fused multiply-adds; terms with factor 1 first."""
        build, total = self.build, None
        for value, c in sorted(terms.items(), key=lambda t: (t[1] != 1, abs(t[1]) != 1)):
            v, factor = self.values[value], ir.Constant(V16, [float(c)] * 16)
            if total is None:
                total = v if c == 1 else build.fmul(factor, v)
            elif c in (1, -1):
                total = (build.fadd if c == 1 else build.fsub)(total, v)
            else:
                total = fma(build, factor, v, total)
        self.values[name] = total

    def product(self, matrix: Matrix, values: list[str], names: list[str]) -> None:
        """names = matrix values; columns that belong to points p and -p share sums and differences of their values."""
        columns = [list(c) for c in zip(*matrix)]
        kept, done = {}, set()
        for i, column in enumerate(columns):
            if i in done:
                continue
            mate = next((j for j in range(i + 1, len(columns)) if columns[j] == _mirrored(column)), None)
            if mate is None or sum(map(bool, column)) < 2:
                kept[values[i]] = column
                continue
            done.add(mate)
            self.set_sum(f"even{i}", {values[i]: Fraction(1), values[mate]: Fraction(1)})
            self.set_sum(f"odd{i}", {values[i]: Fraction(1), values[mate]: Fraction(-1)})
            kept[f"even{i}"] = [c if r % 2 == 0 else Fraction(0) for r, c in enumerate(column)]
            kept[f"odd{i}"] = [c if r % 2 else Fraction(0) for r, c in enumerate(column)]
        for r, name in enumerate(names):
            self.set_sum(name, {value: column[r] for value, column in kept.items() if column[r]})

    def done(self) -> ir.Function:
        self.build.ret_void()
        return self.fn


def _function_type(arguments: list[str]) -> ir.FunctionType:
    return ir.FunctionType(ir.VoidType(), [I1 if name == "relu" else I64 for name in arguments])


def _mirrored(column: list[Fraction]) -> list[Fraction]:
    return [c if r % 2 == 0 else -c for r, c in enumerate(column)]


def _two_sided(f: _Function, matrix: Matrix, load: Callable[[int, int], ir.Value], store: Callable) -> None:
    """matrix X matrix', for X loaded from the addresses that `load` gives; `store` gets i, j and each result."""
    rows, n = len(matrix), len(matrix[0])
    for i in range(n):
        for j in range(n):
            f.load(f"d{j}", load(i, j))
        f.product(matrix, [f"d{j}" for j in range(n)], [f"t{i}_{j}" for j in range(rows)])
    for j in range(rows):
        f.product(matrix, [f"t{i}_{j}" for i in range(n)], [f"o{i}" for i in range(rows)])
        for i in range(rows):
            store(i, j, f.values[f"o{i}"])


def _six_by_six(f: _Function) -> None:
    """The same for B' of six values: X does not fit into registers, so its rows, transformed, go to `spare`."""
    n = 6
    ins, outs = [f"d{k}" for k in range(n)], [f"o{k}" for k in range(n)]
    sums, rows = shared(ins)
    for by_rows in (True, False):
        with counted(f.build, I64(n)) as index:
            places = [(index, k) if by_rows else (k, index) for k in range(n)]
            kept = [f.place("spare", (i, 64 * n), (j, 64)) for i, j in places]
            source = [f.place("x", (i, "row"), (j, "column")) for i, j in places] if by_rows else kept
            for name, where in zip(ins, source):
                f.load(name, where)
            for name, terms in [*sums, *zip(outs, rows)]:
                f.set_sum(name, terms)
            for k, name in enumerate(outs):
                target = kept[k] if by_rows else f.place("out", (6 * k, "step"), (index, "step"))
                f.store(target, f.values[name])


def _inputs(module: ir.Module, m: int, r: int) -> ir.Function:
    """B' x B."""
    f = _Function(module, f"inputs{m}x{r}", _INPUTS)
    n = m + r - 1
    if n == 6:
        _six_by_six(f)
    else:
        places = [[f.place("x", (i, "row"), (j, "column")) for j in range(n)] for i in range(n)]
        _two_sided(
            f,
            matrices(m, r)[2],
            lambda i, j: places[i][j],
            lambda i, j, value: f.store(f.place("out", (n * i + j, "step")), value),
        )
    return f.done()


def _filters(module: ir.Module, m: int, r: int) -> ir.Function:
    """G f G'."""
    f, n = _Function(module, f"filters{m}x{r}", _FILTERS), m + r - 1
    _two_sided(
        f,
        matrices(m, r)[1],
        lambda i, j: f.place("f", (r * i + j, "tap")),
        lambda i, j, value: f.store(f.place("out", (n * i + j, "step")), value),
    )
    return f.done()


def _outputs(module: ir.Module, m: int, r: int, stream: bool = False) -> ir.Function:
    """A' x A + bias, with `relu` the maximum of that and 0: 0 for NaN, as MATLAB's. With `stream`, past the caches."""
    f, n = _Function(module, f"outputs{m}x{r}{'past' if stream else ''}", _OUTPUTS), m + r - 1
    f.load("bias", f.arg["bias"])
    zero, rectified = zeros(V16), splat(f.build, f.arg["relu"], 16)

    def store(i: int, j: int, value: ir.Value) -> None:
        total = f.build.fadd(value, f.values["bias"])
        below = f.build.and_(f.build.fcmp_unordered("<=", total, zero), rectified)
        f.store(f.place("out", (i, "row"), (j, "column")), f.build.select(below, zero, total), stream)

    _two_sided(f, matrices(m, r)[0], lambda i, j: f.place("x", (n * i + j, "step")), store)
    return f.done()


def write_transforms(module: ir.Module, m: int, r: int) -> dict[int, ir.Function]:
    """The functions for inputs, filters, outputs, and outputs past the caches, in the places 0 to 3."""
    made = {i: make(module, m, r) for i, make in enumerate((_inputs, _filters, _outputs))}
    return {**made, 3: _outputs(module, m, r, stream=True)}


def write_derivatives(module: ir.Module, m: int, r: int) -> dict[int, ir.Function]:
    """Those for the derivative with respect to the filters: A x A' in place 0, called as inputs, G' x G in place 1."""
    at_points, g, _ = matrices(m, r)
    n = m + r - 1
    spread = _Function(module, f"derivatives{m}x{r}", _INPUTS)
    _two_sided(
        spread,
        _transposed(at_points),
        lambda i, j: spread.place("x", (i, "row"), (j, "column")),
        lambda i, j, value: spread.store(spread.place("out", (n * i + j, "step")), value),
    )
    gathered = _Function(module, f"filter_derivatives{m}x{r}", _FILTERS)
    _two_sided(
        gathered,
        _transposed(g),
        lambda i, j: gathered.place("f", (n * i + j, "tap")),
        lambda i, j, value: gathered.store(gathered.place("out", (r * i + j, "step")), value),
    )
    return {0: spread.done(), 1: gathered.done()}


def write_scattered(module: ir.Module, m: int, r: int) -> dict[int, ir.Function]:
    """B x B', for the derivative with respect to the inputs, in place 0; called as those for filters."""
    f, n = _Function(module, f"scattered{m}x{r}", _FILTERS), m + r - 1
    _two_sided(
        f,
        _transposed(matrices(m, r)[2]),
        lambda i, j: f.place("f", (n * i + j, "tap")),
        lambda i, j, value: f.store(f.place("out", (n * i + j, "step")), value),
    )
    return {0: f.done()}


def _transposed(matrix: Matrix) -> Matrix:
    return [list(column) for column in zip(*matrix)]


def _call_of(arguments: list[str]):
    pointer = _function_type(arguments).as_pointer()

    @op
    def call(build, fn, args):
        """Calls the function at an address with a tuple of arguments."""
        build.call(build.inttoptr(fn, pointer), args)

    return call


call_inputs, call_filters, call_outputs = map(_call_of, (_INPUTS, _FILTERS, _OUTPUTS))
