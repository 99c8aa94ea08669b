"""MATLAB's random numbers: those that its documentation prints, and those of a public network."""

import copy
import pickle
import threading
import time

import numpy as np
import pytest
from support import ROOT
from twister import Twister

import pyconvnet as pcn
from pyconvnet.compat import matfile
from pyconvnet.compat.matlab import RandStream, rand, randi, randn, randperm, randsample, rng, sprand

INITIAL = ROOT.parent / "shared" / "models" / "zoo" / "mnist-dagnn" / "initial.mat"
# The manual prints them after rng(0), with 15 digits after the point
NORMAL = """0.537667139546100 1.833885014595086 -2.258846861003648 0.862173320368121 0.318765239858981
-1.307688296305273 -0.433592022305684 0.342624466538650 3.578396939725760 2.769437029884877
-1.349886940156521 3.034923466331855 0.725404224946106 -0.063054873189656 0.714742903826096
-0.204966058299775 -0.124144348216312 1.489697607785465
1.409034489800479 1.417192413429614"""


@pytest.fixture(autouse=True)
def _afterwards():
    """Other tests draw from a generator of their own."""
    yield
    rng("default")
    pcn.rng.seed(0)


def test_rand_gives_matlabs_first_numbers():
    rng("default")
    np.testing.assert_allclose(rand(1, 6)[0], [0.8147, 0.9058, 0.1270, 0.9134, 0.6324, 0.0975], atol=5.1e-5)
    rng(0)
    assert rand().shape == (1, 1)
    rng(1)
    np.testing.assert_allclose(rand(1, 3)[0], [0.4170, 0.7203, 0.0001], atol=5.1e-5)


def test_randn_gives_matlabs_first_numbers():
    rng(0)
    assert [f"{v:.15f}" for v in randn(1, 20)[0]] == NORMAL.split()
    rng(1)
    assert f"{randn()[0, 0]:.15f}" == "-0.649013765191241"


@pytest.mark.skipif(not INITIAL.is_file(), reason="needs ../shared/models")
def test_every_weight_of_a_public_network_comes_out_to_the_bit():
    rng(1)
    rand(1, 4)
    count = 0
    for param in pcn.load(INITIAL).params:
        if param.name.startswith("filters"):
            size = param.value.shape
            weights = pcn.rng.scaled(randn(size, "single"), np.sqrt(2 / np.prod(size[:3])))
            assert weights.dtype == np.float32 and np.array_equal(weights, param.value)
            count += weights.size
    assert count == 430500


def test_the_kernel_draws_what_the_scalar_form_draws():
    scalar = Twister(2)
    expected = [scalar.randn() for _ in range(3000)]
    assert max(map(abs, expected)) > 3.6541528853610087  # the tail was reached
    rng(2)
    np.testing.assert_allclose(randn(1, 3000)[0], expected, rtol=1e-13)  # its layers are exact, MATLAB's of 15 digits
    assert rand()[0, 0] == scalar.rand()


def test_long_runs_are_normally_distributed():
    rng(5)
    x = randn(1, 2_000_000)[0]
    assert abs(x.mean()) < 4 / np.sqrt(x.size) and abs(x.std() - 1) < 4 / np.sqrt(2 * x.size)
    assert abs((x**4).mean() - 3) < 4 * np.sqrt(96 / x.size)
    for limit, share in ((1, 0.682689492), (2, 0.954499736), (3.7, 0.999784435)):
        found = np.mean(np.abs(x) < limit)
        assert abs(found - share) < 4 * np.sqrt(share * (1 - share) / x.size)


def test_randn_is_not_much_slower_than_numpy():
    randn(1)
    best = {}
    for name, draw in (("ours", randn), ("numpy", lambda *n: np.random.default_rng(0).standard_normal(n))):
        times = []
        for _ in range(5):
            start = time.perf_counter()
            draw(1000, 1000)
            times.append(time.perf_counter() - start)
        best[name] = min(times)
    assert best["ours"] < 5 * best["numpy"]


def test_arrays_are_filled_columns_first():
    rng(0)
    np.testing.assert_allclose(rand(2), [[0.8147, 0.1270], [0.9058, 0.9134]], atol=5.1e-5)
    rng(0)
    np.testing.assert_allclose(randn(2), [[0.5377, -2.2588], [1.8339, 0.8622]], atol=5.1e-5)
    assert rand([2, 3, 4]).shape == randn((2, 3, 4)).shape == rand(2, 3, 4, "single").shape == (2, 3, 4)
    assert randn(np.array([[5, 5, 1, 20]]), "single").shape == (5, 5, 1, 20)
    assert rand(-1, 3).shape == (0, 3)


def test_single_precision_rounds_the_same_numbers():
    for draw in (rand, randn):
        rng(3)
        double = draw(100, 3)
        rng(3)
        single = draw(100, 3, "single")
        assert single.dtype == np.float32 and np.array_equal(single, double.astype(np.float32))
        assert draw(2, "like", single).dtype == np.float32


def test_permutations_and_whole_numbers_are_those_of_the_documentation():
    rng("default")
    assert randperm(6).tolist() == [[6, 3, 5, 1, 2, 4]]
    rng("default")
    assert randperm(8).tolist() == [[6, 3, 7, 8, 5, 1, 2, 4]]
    rng(42)
    assert randperm(15).tolist() == [[11, 7, 6, 5, 15, 14, 1, 4, 9, 10, 3, 13, 8, 2, 12]]
    rng("default")
    assert randi(10, 1, 5).tolist() == [[9, 10, 2, 10, 7]]
    assert set(np.ravel(randi([3, 4], 1, 50))) == {3, 4}
    drawn = randi([-5, 5], 100, 1, "int8")
    assert drawn.dtype == np.int8 and drawn.min() == -5 and drawn.max() == 5
    assert randperm(0).shape == (1, 0)


def test_one_of_many_is_the_place_of_one_random_number():
    for n, draws in ((1, 0), (3, 2), (4, 2), (5, 1), (100, 1)):
        rng(1)
        chosen, scalar = randperm(n, 1), Twister(1)
        numbers = [scalar.rand() for _ in range(draws)]
        assert chosen.tolist() == [[int(numbers[0] * n) + 1 if numbers else 1]]
        assert rand()[0, 0] == scalar.rand()
    assert randperm(5, 0).shape == (1, 0)
    with pytest.raises(ValueError, match="randperm: k must be at most n, got n = 2, k = 3"):
        randperm(2, 3)


def test_all_draw_from_one_stream():
    rng(4)
    first = rand(1, 2)[0].tolist() + randn(1, 50)[0].tolist() + randi(9, 1, 2)[0].tolist() + randperm(3)[0].tolist()
    scalar = Twister(4)
    again = [scalar.rand() for _ in range(2)] + [scalar.randn() for _ in range(50)]
    again += [np.floor(9 * scalar.rand()) + 1 for _ in range(2)] + [i + 1 for i in scalar.randperm(3)]
    np.testing.assert_allclose(first, again, rtol=1e-13)  # its layers are exact, MATLAB's kept to 15 digits


def test_settings_are_kept_and_restored(tmp_path):
    rng(9)
    rand(1, 3)
    s = rng()
    assert (s.Type, s.Seed, s.State.shape, s.State.dtype) == ("twister", 9, (625, 1), np.uint32)
    drawn = randn(1, 5)
    matfile.write(tmp_path / "s.mat", {"s": s})
    before = rng(1)
    assert before.Seed == 9 and not np.array_equal(before.State, s.State)
    rng(matfile.read(tmp_path / "s.mat")["s"])
    assert np.array_equal(randn(1, 5), drawn) and rng().Seed == 9


def test_shuffle_starts_from_the_clock():
    rng("shuffle")
    assert rng().Seed > 0
    assert rand(1, 9).tolist() != (rng(0), rand(1, 9))[1].tolist()


def test_a_stream_of_its_own_leaves_the_global_one_alone():
    rng(0)
    s = RandStream("mt19937ar", "Seed", 0)
    own = [s.randn(1, 2), s.rand(1, 2), rand(s, 2), s.randi(5, 1, 3), randi(s, 5), randperm(s, 4), s.randperm(4)]
    assert np.array_equal(randn(1, 2), own[0])
    s.reset()
    assert np.array_equal(randn(s, 1, 2), own[0])
    others = copy.deepcopy(s), pickle.loads(pickle.dumps(s))
    drawn = s.rand(1, 4)
    for other in others:
        assert np.array_equal(other.rand(1, 4), drawn)


def test_a_stream_can_be_made_the_global_one():
    before = RandStream.setGlobalStream(RandStream("mt19937ar", "Seed", 1))
    assert abs(randn()[0, 0] + 0.649013765191241) < 1e-15 and rng().Seed == 1
    assert RandStream.setGlobalStream(before) is not before and RandStream.getGlobalStream() is before


def test_a_stream_can_be_given_as_a_generator_of_numpy():
    s, scalar = RandStream("mt19937ar", Seed=3), Twister(3)
    assert isinstance(s, np.random.Generator)
    _, mask = pcn.vl_nndropout(np.ones((3, 2, 4, 2), np.float32), rate=0.4, rng=s)
    assert np.array_equal(mask, scalar.mask(3, 2, 4, 2, rate=0.4))
    assert s.permutation(np.array([7, 8, 9])).tolist() == [7 + i for i in scalar.randperm(3)]
    assert abs(s.standard_normal() - scalar.randn()) < 1e-13 and s.random() == scalar.rand()
    assert s.integers(0, 3, 4).shape == (4,)


def test_samples_are_drawn_as_by_matlabs_randsample():
    rng("default")
    assert randsample(6, 6).ravel().tolist() == [6, 3, 5, 1, 2, 4]
    rng(0)
    assert randsample([10, 20, 30, 40], 2).tolist() == [[30, 10]]  # the order of the first four numbers: 3 1 2 4
    rng(0)
    assert randsample(1000, 3).shape == (3, 1)
    rng(0)
    found, scalar = randsample(1000, 3).ravel(), Twister(0)
    marks = sorted({int(1000 * scalar.rand()) + 1 for _ in range(3)})
    assert found.tolist() == [marks[i] for i in scalar.randperm(3)]
    rng(0)
    assert randsample(10, 5, True).ravel().tolist() == [9, 10, 2, 10, 7]
    rng(0)
    assert randsample([5, 6, 7], 6, True, [1, 0, 1]).ravel().tolist() == [7, 7, 5, 7, 7, 5]
    assert randsample(np.array([[1], [2], [3]]), 2).shape == (2, 1)
    with pytest.raises(ValueError, match="randsample: k must be at most 3"):
        randsample(3, 4)
    with pytest.raises(ValueError, match="replace must be True with weights"):
        randsample(3, 1, False, [1, 1, 1])


def test_layers_draw_from_the_stream_once_it_has_started():
    rng(2)
    block = pcn.dagnn.Conv(size=[3, 3, 2, 4])
    (f, _), expected = block.initParams(), Twister(2).filters(3, 3, 2, 4, scale=np.sqrt(2 / 36))
    assert np.array_equal(f, expected)
    other = []
    thread = threading.Thread(target=lambda: other.append(block.initParams()[0]))
    thread.start()
    thread.join()
    assert not np.array_equal(other[0], f)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: randperm(10, 3), "randperm\\(10, 3\\): how MATLAB chooses"),
        (lambda: rand("state", 0), "rand\\('state', ...\\) starts generators of before 2008"),
        (lambda: sprand(3, 3, 0.5), "sprand: how MATLAB draws it is not known"),
    ],
)
def test_what_is_not_known_is_refused_by_name(call, message):
    with pytest.raises(NotImplementedError, match=message):
        call()


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: rng("philox"), "rng: the seed must be a whole number, 'default' or 'shuffle', got 'philox'"),
        (lambda: rng(1, "philox"), "rng: the generator must be the Mersenne twister, .*got 'philox'"),
        (lambda: rng(-1), "rng: the seed must be a whole number from 0 to 2\\^32 - 1, got -1"),
        (lambda: rng({"Seed": 1}), "rng: settings must have the fields"),
        (lambda: RandStream("mrg32k3a"), "RandStream: the generator must be"),
        (lambda: RandStream("mt19937ar", "Sead", 1), "RandStream: the only option is 'Seed'"),
        (lambda: setattr(RandStream(), "State", [1, 2]), "RandStream: State must be the 625 words"),
        (lambda: rand(2.5), "rand: sizes must be whole numbers"),
        (lambda: randn(2, "int8"), "randn: the class must be one of 'double', 'single', got 'int8'"),
        (lambda: randi(0), "randi: imax must be a whole number from 1 up"),
        (lambda: randi(300, 2, "uint8"), "randi: uint8 does not hold"),
        (lambda: randperm(2.5), "randperm: n must be a whole number from 0 up, got 2.5"),
        (lambda: pcn.rng.seed(1, "octave"), "rng.seed: kind must be one of 'numpy', 'matlab', got 'octave'"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
