"""docs/reference/matlab-names.md: each Python name exists, and MatConvNet's index is there whole."""

import re

import pytest
from support import ROOT

import pyconvnet as pcn
from pyconvnet import models

TEXT = (ROOT / "docs" / "reference" / "matlab-names.md").read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in TEXT.splitlines() if line.startswith("| `")]
MATLAB = {name for row in ROWS for name in re.findall(r"`([^`]+)`", row[0])}

# doc/site/docs/functions.md of 1.0-beta25, and what else matlab/ has
INDEX = """
vl_nnbnorm vl_nnbilinearsampler vl_nnconv vl_nnconcat vl_nnconvt vl_nncrop vl_nndropout vl_nnloss vl_nnnoffset
vl_nnnormalize vl_nnnormalizelp vl_nnpdist vl_nnpool vl_nnrelu vl_nnroipool vl_nnsigmoid vl_nnsoftmax vl_nnsoftmaxloss
vl_nnspnorm vl_simplenn vl_simplenn_tidy vl_simplenn_display vl_simplenn_move vl_simplenn_diagnose
vl_simplenn_start_parserv dagnn.DagNN vl_argparse vl_compilenn vl_contrib vl_rootnn vl_setupnn vl_imreadjpeg vl_taccum
vl_tmove vl_tshow ParameterServer cnn_train cnn_train_dag
""".split()
METHODS = """
addLayer removeLayer renameLayer renameVar renameParam setLayerInputs setLayerOutputs setLayerParams rebuild initParams
eval reset move print saveobj toSimpleNN getLayerIndex getVarIndex getParamIndex getLayer getVar getParam getInputs
getOutputs getLayerExecutionOrder getVarSizes getVarReceptiveFields setParameterServer clearParameterServer
""".split()


def names_in(cell: str) -> list[str]:
    return [name for name in re.findall(r"`((?:pcn|models)\.[\w.]+)", cell)]


@pytest.mark.parametrize("row", ROWS, ids=[row[0][:60] for row in ROWS])
def test_the_python_of_a_row_exists(row):
    said = row[1]
    names = names_in(said)
    assert names or said == "none" or said == "a function of yours"
    if not names:
        assert len(row[2].rstrip("| ")) > 10  # why, or what to do instead
    for name in names + names_in(row[2]):
        value = {"pcn": pcn, "models": models}[name.split(".")[0]]
        for part in name.split(".")[1:]:
            value = getattr(value, part)  # AttributeError: it does not exist


def test_the_function_index_is_whole():
    assert not set(INDEX) - MATLAB
    assert not {f"net.{name}" for name in METHODS} - MATLAB


def test_what_has_no_counterpart_is_not_there():
    for row in ROWS:
        if row[1] == "none":
            for name in re.findall(r"`(\w+)`", row[0]):
                assert name not in pcn.__all__ and not hasattr(models, name), name


def test_matconvnets_functions_that_are_here_are_in_the_table():
    own = {name for name in pcn.__all__ if name.startswith(("vl_", "cnn_"))}
    assert len(own) > 20 and not own - MATLAB
