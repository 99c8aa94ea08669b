"""Options of cnn_train: MATLAB's names and defaults, and what is refused before anything runs."""

import sys
import warnings

import numpy as np
import pytest

from pyconvnet import cnn_train
from pyconvnet.solver import adam, sgd
from pyconvnet.training.options import SIMPLENN, image_sets, read_options


def read(*args, **given):
    return read_options("cnn_train", SIMPLENN, args, given)


def test_defaults_are_matconvnets():
    o = read()
    assert (o.batchSize, o.numEpochs, o.learningRate, o.weightDecay, o.momentum) == (256, 300, [0.001], 0.0005, 0.9)
    assert o["continue"] is True and o.solver is None and str(o.expDir) == "data/exp"


def test_pairs_keywords_and_matlab_arrays_are_taken():
    o = read("BatchSize", np.array([[12.0]]), "continue", np.uint8(0), learningRate=np.array([[0.1, 0.2]]), numepochs=3)
    assert (o.batchSize, o["continue"], o.learningRate, o.numEpochs) == (12, False, [0.1, 0.2], 3)
    assert read(continue_=False)["continue"] is False


def test_structs_of_options_stand_between_the_pairs_as_in_matlab():
    o = read({"batchSize": 12, "numEpochs": 4}, "numEpochs", 3, {"momentum": 0.5})
    assert (o.batchSize, o.numEpochs, o.momentum) == (12, 3, 0.5)
    with pytest.raises(ValueError, match="unknown option 'batch'; did you mean 'batchSize'"):
        read({"batch": 12})


def test_a_solver_is_a_function_or_its_name_and_its_options_are_checked():
    assert read(solver="adam").solver is adam
    assert read(solver="solver.adam").solverOpts == adam()
    assert read(solver=adam, solverOpts={"beta1": 0.5}).solverOpts.beta1 == 0.5
    assert read(solver=adam, solverOpts={"beta1": np.array([[0.5]])}).solverOpts.beta1 == 0.5
    with pytest.raises(ValueError, match="solverOpts has no 'beta3'; the options of the solver are beta1, beta2, eps"):
        read(solver=adam, solverOpts={"beta3": 0.5})
    with pytest.raises(ValueError, match="unknown solver 'sdg'"):
        read(solver="sdg")


def test_sgd_is_the_default_under_its_name():
    for given in ("sgd", "solver.sgd", sgd):
        o = read(solver=given, momentum=0.5, nesterovUpdate=True)
        assert o == read(momentum=0.5, nesterovUpdate=True)
        assert read(solver=given, solverOpts={"momentum": 0.7, "nesterov": True}) == read(
            momentum=0.7, nesterovUpdate=True
        )
    with pytest.raises(ValueError, match="solverOpts has no 'beta1'; the options of the solver are momentum, nesterov"):
        read(solver="sgd", solverOpts={"beta1": 0.5})


def test_an_option_of_other_trainers_is_pointed_to_its_counterpart():
    for given in (lambda: read(checkpointFn=print), lambda: read("CheckpointFn", print)):
        with pytest.raises(ValueError, match=r"unknown option '[cC]heckpointFn'; postEpochFn=f is called after each"):
            given()


def test_continue_takes_force_and_no_other_word():
    assert read(continue_="force")["continue"] == read("continue", "Force")["continue"] == "force"
    with pytest.raises(ValueError, match="continue_ must be True, False or 'force', got 'yes'"):
        read(continue_="yes")


@pytest.mark.parametrize(
    "given, message",
    [
        ({"batchSize": 0}, "batchSize must be a whole number from 1 up, got 0"),
        ({"learningRate": "a"}, "learningRate must be one number, or one per epoch, from 0 up; got 'a'"),
        ({"learningRate": -1}, "learningRate must be one number, or one per epoch, from 0 up; got -1"),
        ({"batchsise": 3}, "unknown option 'batchsise'; did you mean 'batchSize'"),
        ({"momentum": "much"}, "momentum must be a number from 0 up, got 'much'"),
    ],
)
def test_what_cannot_be_right_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        read(**given)


def sets(imdb=None, **given):
    return image_sets("cnn_train", imdb or {"images": {"set": np.array([1, 1, 2, 3])}}, read(**given))


def test_images_set_marks_training_and_validation():
    s = sets()
    assert s["train"].tolist() == [0, 1] and s["val"].tolist() == [2]


def test_sets_1_and_3_validate_nothing_and_are_told_so():
    marked = {"images": {"set": np.array([1, 1, 3, 3, 3])}}
    with pytest.warns(UserWarning, match=r"nothing is validated: images\.set has no 2 \(validate\), but 3 images 3"):
        assert sets(marked)["val"].size == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sets(marked, val=np.flatnonzero(marked["images"]["set"] == 3))
        sets(marked, val=np.nan)
        sets(marked, evalSets={"test": [2, 3, 4]})
        sets({"images": {"set": np.ones(5)}})
        sets({"images": {"set": np.array([1, 2, 3])}})
        sets(marked, train=np.nan, val=[2])


def test_index_lists_masks_and_nan_override_it():
    s = sets(train=[3, 0], val=np.nan, evalSets={"test": [3]})
    assert s["train"].tolist() == [3, 0] and s["val"].size == 0 and s["test"].tolist() == [3]
    assert sets(train=np.array([True, False, False, True]))["train"].tolist() == [0, 3]


def test_a_mask_has_one_boolean_per_image():
    with pytest.raises(ValueError, match="train must be 4 booleans, one per image, or indexes; got 3"):
        sets(train=np.array([True, False, True]))


def test_indexes_out_of_range_are_refused():
    with pytest.raises(ValueError, match=r"train must be 0-based image indexes below 4, got 1\.\.4"):
        sets(train=[1, 2, 3, 4])
    with pytest.raises(ValueError, match=r"no images\.set"):
        sets(imdb={"images": {}})


def test_processes_are_a_whole_number_and_need_torch(monkeypatch):
    assert read().processes is None and read("processes", np.uint8(2)).processes == 2
    with pytest.raises(ValueError, match="processes must be a whole number from 1 up, got 0"):
        read(processes=0)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r"training in 2 processes needs torch: pip install 'pyconvnet\[torch\]'"):
        cnn_train({}, {}, None, processes=2)


def test_processes_devices_and_random_numbers_that_do_not_go_together_are_refused():
    assert read(processes=2, gpus=[0, 1]).gpus == [0, 1] and read(processes=2, gpus="torch:cpu").processes == 2
    with pytest.raises(ValueError, match=r"processes is 3, but gpus=\[0, 1\] names 2 GPUs"):
        read(processes=3, gpus=[0, 1])
    with pytest.raises(ValueError, match=r"gpus=\[0, 0\]: each process needs a GPU of its own, but one is named twice"):
        read(gpus=[0, 0])
    with pytest.raises(ValueError, match="rng must be 'numpy' in 2 processes, got 'matlab'"):
        read(processes=2, rng="matlab")
