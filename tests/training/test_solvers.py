"""Each solver follows its formula, keeps the element type, and does not touch its arguments."""

import numpy as np
import pytest

from pyconvnet import solver

ALL = {name: lambda w, s, g, f=f: f(w, s, g, f(), 0.1) for name, f in solver.SOLVERS.items()}
ALL["sgd"] = lambda w, s, g: solver.sgd(w, s, g, 0.9, 0.1)
ALL["nesterov"] = lambda w, s, g: solver.sgd(w, s, g, 0.9, 0.1, nesterov=True)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_type_stays_and_arguments_are_not_touched(name, dtype):
    w, g, state = np.arange(6, dtype=dtype).reshape(2, 3), np.full((2, 3), 0.5, dtype), 0.0
    for _ in range(3):
        before = w.copy()
        new, state = ALL[name](w, state, g)
        assert np.array_equal(w, before) and np.all(g == 0.5)
        assert new.dtype == dtype and new.shape == w.shape
        for part in state.values() if isinstance(state, dict) else [state]:
            assert np.ndim(part) == 0 or part.dtype == dtype
        w = new


@pytest.mark.parametrize("name", ALL)
def test_every_solver_goes_downhill(name):
    w, state = np.array([3.0, -2.0]), 0.0
    start = np.sum(w**2)
    for _ in range(60):
        w, state = ALL[name](w, state, 2 * w)
    assert np.sum(w**2) < start


def test_two_steps_of_momentum_by_hand():
    w, s = solver.sgd(np.array([1.0]), 0.0, np.array([2.0]), momentum=0.5, lr=0.1)
    assert (w, s) == (pytest.approx(0.8), pytest.approx(-2.0))
    w, s = solver.sgd(w, s, np.array([1.0]), momentum=0.5, lr=0.1)
    assert (w, s) == (pytest.approx(0.6), pytest.approx(-2.0))


def test_sgd_takes_its_options_as_one_dict_as_the_other_solvers_do():
    w, g = np.arange(3.0), np.array([0.5, -1.0, 2.0])
    for nesterov in (False, True):
        a = solver.sgd(w, g, g, {"momentum": 0.7, "nesterov": nesterov}, 0.1)
        b = solver.sgd(w, g, g, 0.7, 0.1, nesterov)
        assert all(np.array_equal(x, y) for x, y in zip(a, b))
    assert solver.sgd() == {"momentum": 0.9, "nesterov": False}


def test_the_first_step_of_adam_has_the_length_of_the_rate():
    w, state = solver.adam(np.zeros(3), 0.0, np.array([0.1, 5.0, -70.0]), solver.adam(), 0.01)
    assert np.allclose(w, [-0.01, -0.01, 0.01], rtol=1e-4) and state["t"] == 1


@pytest.mark.parametrize("name", ["adam", "adagrad", "rmsprop", "adadelta"])
def test_a_solver_without_its_options_says_what_they_are(name):
    message = rf"^{name}: opts must be a dict of options, such as {name}\(\) returns, got NoneType$"
    with pytest.raises(TypeError, match=message):
        getattr(solver, name)(np.zeros(3), 0.0, np.ones(3), None, 0.1)
