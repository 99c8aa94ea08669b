"""'Name', value pairs, letter case, and the errors for names that do not exist."""

import pytest

from pyconvnet.options import did_you_mean, matlab_options


@matlab_options(flags=("quick",))
def f(x, dzdy=None, *, stride=1, topK=5, quick=False):
    """What it says."""
    return x, dzdy, stride, topK, quick


def test_pairs_are_keywords_in_any_letter_case():
    assert f(1, "Stride", 2, "TOPK", 3) == (1, None, 2, 3, False)
    assert f(1, 7, "STRIDE", 2) == (1, 7, 2, 5, False)
    assert f(1, topk=3) == (1, None, 1, 3, False)


def test_a_flag_stands_alone():
    assert f(1, "quick", "stride", 4) == (1, None, 4, 5, True)


def test_switches_of_the_cuda_code_are_accepted_without_effect():
    assert f(1, "cuDNN", "CudnnWorkspaceLimit", 100, "Stride", 2) == (1, None, 2, 5, False)
    assert f(1, None, *["CudnnWorkspaceLimit", 100], stride=3) == (1, None, 3, 5, False)


def test_a_later_pair_wins_over_an_earlier_one():
    assert f(1, "stride", 2, "Stride", 3)[2] == 3


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"f: unknown option 'strid'; did you mean 'stride'\?"):
        f(1, "strid", 2)
    with pytest.raises(ValueError, match=r"did you mean 'topK'"):
        f(1, topk_=2)
    with pytest.raises(ValueError, match="the options are quick, stride, topK"):
        f(1, zzz=2)


def test_an_option_of_old_releases_is_refused_with_what_took_its_place():
    with pytest.raises(ValueError, match=r"'disableDropout' of older releases is gone; mode='test' replaces it"):
        f(1, "disableDropout", True)


def test_a_name_without_value_is_refused():
    with pytest.raises(ValueError, match="'stride' has no value"):
        f(1, "stride")


def test_the_help_stays():
    assert f.__doc__ == "What it says." and f.__name__ == "f"


@pytest.mark.parametrize(
    "name, hint",
    [("strid", "did you mean 'stride'?"), ("PADD", "did you mean 'Pad'?"), ("window", "the options are stride, Pad")],
)
def test_the_nearest_name_in_any_letter_case(name, hint):
    assert did_you_mean(name, ["stride", "Pad"], "the options are stride, Pad") == hint
