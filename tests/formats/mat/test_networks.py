"""load, load_checkpoint, save: where a network may stand in a file, what it may lack, and what is refused."""

import h5py
import numpy as np
import pytest
import scipy.io

import pyconvnet as pcn
from pyconvnet.compat import matfile

F = np.arange(2 * 2 * 1 * 3, dtype=np.float32).reshape(2, 2, 1, 3)


def cell(*values):
    out = np.empty((1, len(values)), object)
    for i, value in enumerate(values):
        out[0, i] = value
    return out


CONV = {"type": "conv", "name": "c", "weights": cell(F, np.ones((1, 3), np.float32)), "stride": np.uint8([[1, 1]])}
CONV_RECORD = pcn.Struct(type="conv", name="c", weights=[F, np.ones((1, 3), np.float32)])
OLD = {"type": "conv", "filters": F, "biases": np.ones((1, 3), np.float32), "stride": 1.0, "pad": 0.0}


def saved(path, **variables):
    scipy.io.savemat(path, variables)
    return path


@pytest.mark.parametrize(
    "variables",
    [
        {"layers": cell(CONV)},
        {"net": {"layers": cell(CONV)}},
        {"cnn": {"layers": cell(CONV)}},
        {"model": {"net": {"layers": cell(CONV)}, "score": 0.5}, "other": 1},
        {"nets": cell({"layers": cell(CONV)})},
        {"layers": CONV},
        {"net": {"layers": cell(OLD), "normalization": {"imageSize": [[2, 2, 1]]}, "classes": cell("a", "b")}},
        {"net": {"layers": cell(CONV)}, "state": {"momentum": 1}, "stats": {"train": 2}, "opts": {"a": 1}},
    ],
)
def test_a_network_is_found_wherever_it_stands(tmp_path, variables):
    net = pcn.load(saved(tmp_path / "a.mat", **variables))
    layer = net.layers[0]
    assert layer.type == "conv" and layer.weights[0].shape == (2, 2, 1, 3) and layer.weights[0].flags.f_contiguous
    assert np.array_equal(layer.weights[0], F)
    assert pcn.vl_simplenn(net, np.ones((4, 4, 1, 2), np.float32), mode="test")[-1].x.shape == (3, 3, 3, 2)


def test_fields_at_the_top_go_into_meta(tmp_path):
    net = pcn.load(saved(tmp_path / "a.mat", net={"layers": cell(OLD), "classes": cell("a", "b"), "imageMean": 3.0}))
    assert net.meta.classes == ["a", "b"] and net.meta.imageMean == 3
    assert pcn.best_classes(net, np.array([0.2, 0.8]).reshape(1, 1, 2, 1), 1)[0].name == "b"


def test_what_stands_beside_the_network_goes_into_meta_but_for_what_is_no_part_of_it(tmp_path):
    net = {"layers": cell(CONV), "meta": {"classes": cell("a", "b", "c")}}
    others = {"imageMean": F[:, :, 0, 0], "classes": cell("x"), "other": {"layers": cell(CONV)}}
    run = {"state": {"momentum": 1.0}, "stats": {"train": 2.0}, "info": 3.0, "imdb": {"images": {"data": F}}}
    path = saved(tmp_path / "a.mat", net=net, **others, **run)
    found = pcn.load(path)
    np.testing.assert_array_equal(found.meta.imageMean, F[:, :, 0, 0])
    assert found.meta.classes == ["a", "b", "c"]
    assert set(found.meta) == {"classes", "imageMean"}
    assert set(pcn.load(path, tidy=False).meta) == {"classes"}
    path = saved(tmp_path / "b.mat", model={"net": net, "imageMean": 4.0}, far=1.0)
    assert pcn.load(path).meta.imageMean == 4 and "far" not in pcn.load(path).meta
    assert set(pcn.load(saved(tmp_path / "c.mat", nets=cell(net), imageMean=4.0)).meta) == {"classes"}


def test_fields_of_a_graph_that_are_not_matconvnets_go_into_meta(tmp_path):
    graph = pcn.DagNN.fromSimpleNN(pcn.vl_simplenn_tidy(pcn.SimpleNN(layers=[CONV_RECORD], meta=pcn.Struct(a="b"))))
    fields = {**graph.saveobj(), "imageMean": 107.0, "executionOrder": np.ones((1, 1)), "mode": "test"}
    for variables in (fields, {"net": fields}):
        matfile.write(tmp_path / "a.mat", variables)
        found = pcn.load(tmp_path / "a.mat")
        assert found.meta.imageMean == 107 and found.meta.a == "b" and found.mode == "test"
        assert set(found.meta) == {"a", "imageMean"}
    pcn.save(tmp_path / "b.mat", found)
    assert pcn.load(tmp_path / "b.mat").meta.imageMean == 107
    x = pcn.models.preprocess(found, np.full((4, 4, 1), 110, np.uint8))
    assert np.array_equal(x, np.full((4, 4, 1, 1), 3, np.float32))


@pytest.mark.parametrize(
    "names, text",
    [
        (cell("a", "b"), "b"),
        (cell(1.0, 2.0), "2"),
        (cell(cell("a"), cell("b", "c")), "b, c"),
        ({"name": cell("a", "b")}, "b"),
    ],
)
def test_classes_have_names_however_they_are_kept(tmp_path, names, text):
    net = pcn.load(saved(tmp_path / "a.mat", layers=cell(CONV), meta={"classes": names}))
    assert pcn.best_classes(net, np.array([0.2, 0.8]).reshape(1, 1, 2, 1), 1)[0].name == text


def test_tidy_false_leaves_it_as_it_is_in_the_file(tmp_path):
    net = pcn.load(saved(tmp_path / "a.mat", layers=cell(OLD)), tidy=False)
    assert list(net.layers[0]) == ["type", "filters", "biases", "stride", "pad"]


def test_of_several_networks_one_must_be_picked(tmp_path):
    path = saved(tmp_path / "a.mat", one={"layers": cell(CONV)}, two={"layers": cell(CONV, CONV)}, x=1)
    with pytest.raises(ValueError, match=r"a\.mat holds several networks: one, two; pick one with variable="):
        pcn.load(path)
    assert len(pcn.load(path, variable="two").layers) == 2
    nested = saved(tmp_path / "b.mat", nets=cell({"layers": cell(CONV)}, {"layers": cell(CONV, CONV)}))
    with pytest.raises(ValueError, match=r"holds several networks: nets\{1\}, nets\{2\}"):
        pcn.load(nested)
    assert len(pcn.load(nested, variable="nets{2}").layers) == 2
    with pytest.raises(ValueError, match=r"no variable 'three'; it holds one: .*; two: .*; x: 1x1"):
        pcn.load(path, variable="three")
    with pytest.raises(ValueError, match="variable 'x' is not a network"):
        pcn.load(path, variable="x")


def test_missing_fields_are_filled_in_and_small_integers_understood(tmp_path):
    bnorm = {"type": "bnorm", "weights": cell(np.ones((3, 1), np.float32), np.zeros((3, 1), np.float32))}
    pool = {"type": "pool", "pool": np.uint8([[2, 2]]), "stride": np.uint8(2), "method": "max", "pad": np.uint8(0)}
    relu = {"type": "relu"}
    net = pcn.load(saved(tmp_path / "a.mat", layers=cell(CONV, bnorm, pool, relu)))
    assert [layer.name for layer in net.layers] == ["c", "layer2", "layer3", "layer4"]
    assert net.layers[0].dilate == 1 and net.layers[0].opts == [] and net.layers[3].leak == 0
    assert net.layers[1].weights[2].shape == (3, 2) and np.all(net.layers[1].epsilon > 0)
    with pytest.warns(UserWarning, match="the moments are all zero"):
        y = pcn.vl_simplenn(net, np.ones((5, 5, 1, 1), np.float32), mode="test")[-1].x
    assert y.shape == (2, 2, 3, 1) and np.isfinite(y).all()


def test_layers_of_a_struct_array_have_each_others_fields_and_run(tmp_path):
    layers = [
        {"type": "conv", "name": "c", "weights": cell(F, np.ones((1, 3), np.float32)), "pad": 1.0},
        {"type": "relu"},
        {"type": "pool", "pool": 2.0, "stride": 2.0, "method": "avg"},
        {"type": "q", "pad": "same"},
    ]
    fields = list(dict.fromkeys(field for layer in layers for field in layer))
    array = np.empty((1, len(layers)), [(field, object) for field in fields])
    for i, layer in enumerate(layers):
        array[0, i] = tuple(layer.get(field, np.empty((0, 0))) for field in fields)
    net = pcn.load(saved(tmp_path / "a.mat", net={"layers": array}))
    assert [layer.name for layer in net.layers] == ["c", "layer2", "layer3", "layer4"]
    assert net.layers[0].stride == 1 and net.layers[1].leak == 0 and net.layers[1].weights == []
    assert "layer4" in pcn.vl_simplenn_display(net)[1]
    del net.layers[3]
    assert pcn.vl_simplenn(net, np.ones((5, 5, 1, 1), np.float32), mode="test")[-1].x.shape == (3, 3, 3, 1)


def test_layers_without_a_type_are_refused_by_their_number(tmp_path):
    path = saved(tmp_path / "a.mat", layers=cell(CONV, np.empty((0, 0))))
    with pytest.raises(ValueError, match=r"a\.mat: .*layers\{2\} must be a record with a type"):
        pcn.load(path)


def test_of_many_networks_only_some_are_listed(tmp_path):
    path = saved(tmp_path / "a.mat", CNNdenoiser=cell(*[{"layers": cell(CONV)}] * 25))
    with pytest.raises(ValueError, match=r"CNNdenoiser\{3\}, \.\.\., CNNdenoiser\{25\}; pick one with variable="):
        pcn.load(path)
    assert pcn.load(path, variable="CNNdenoiser{7}").layers[0].type == "conv"


def test_a_type_in_other_letters_is_recognised_in_the_message(tmp_path):
    net = pcn.load(saved(tmp_path / "a.mat", layers=cell(CONV, {"type": "ReLU"})))
    with pytest.raises(ValueError, match="did you mean 'relu'"):
        pcn.vl_simplenn(net, np.ones((4, 4, 1, 1), np.float32), mode="test")


def test_filters_that_matlab_squeezed_get_their_four_dimensions_back(tmp_path):
    layers = cell(
        {"type": "conv", "weights": cell(np.ones((3, 3), np.float32), np.zeros((1, 1), np.float32)), "pad": 1},
        {"type": "conv", "weights": cell(np.ones((3, 3, 1, 4), np.float32), np.zeros((1, 4), np.float32)), "pad": 1},
        {"type": "conv", "weights": cell(np.ones((1, 1, 4), np.float32), np.zeros((1, 1), np.float32))},
    )
    net = pcn.load(saved(tmp_path / "a.mat", layers=layers, meta={"inputSize": [[5.0, 5, 1]]}))
    assert [layer.weights[0].shape for layer in net.layers] == [(3, 3, 1, 1), (3, 3, 1, 4), (1, 1, 4, 1)]
    assert pcn.vl_simplenn(net, np.ones((5, 5, 1, 2), np.float32), mode="test")[-1].x.shape == (5, 5, 1, 2)


def test_a_network_of_version_73_is_the_same(tmp_path):
    with h5py.File(tmp_path / "a.mat", "w", userblock_size=512) as f:
        refs = f.create_group("#refs#")

        def put(name, value, kind):
            d = refs.create_dataset(name, data=value)
            d.attrs["MATLAB_class"] = np.bytes_(kind)
            return d.ref

        def text(name, value):
            return put(name, np.array([[ord(c)] for c in value], np.uint16), "char")

        weights = refs.create_dataset(
            "w",
            data=np.array(
                [[put("f", F.T, "single")], [put("b", np.ones((3, 1), np.float32), "single")]], h5py.ref_dtype
            ),
        )
        weights.attrs["MATLAB_class"] = np.bytes_("cell")
        layer = refs.create_group("layer")
        layer.attrs["MATLAB_class"] = np.bytes_("struct")
        layer["type"] = refs[text("t", "conv")]
        layer["weights"] = weights
        layers = f.create_dataset("layers", data=np.array([[layer.ref]], h5py.ref_dtype))
        layers.attrs["MATLAB_class"] = np.bytes_("cell")
    with open(tmp_path / "a.mat", "r+b") as f:
        f.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    net = pcn.load(tmp_path / "a.mat")
    assert net.layers[0].type == "conv" and np.array_equal(net.layers[0].weights[0], F)
    assert net.layers[0].weights[0].flags.f_contiguous


def test_a_checkpoint_gives_net_state_and_stats(tmp_path):
    net = pcn.models.build("lenet", seed=1)
    stats = pcn.Struct(train=[pcn.Struct(objective=1.5)], val=[])
    pcn.save(tmp_path / "net-epoch-1.mat", net, state=pcn.Struct(solverState=[[F]]), stats=stats)
    point = pcn.load_checkpoint(tmp_path / "net-epoch-1.mat")
    assert np.array_equal(point.state.solverState[0][0], F)
    assert np.array_equal(point.net.layers[0].weights[0], net.layers[0].weights[0])
    assert [np.ravel(epoch.objective).tolist() for epoch in point.stats.train] == [[1.5]]
    assert pcn.load(tmp_path / "net-epoch-1.mat").layers[0].type == "conv"


@pytest.mark.parametrize("name", ["lenet", "lenet-cifar", "nin", "ocr"])
def test_saving_and_loading_gives_the_same_bits(tmp_path, name):
    net = pcn.models.build(name, seed=0)
    pcn.save(tmp_path / "a.mat", net)
    same(pcn.load(tmp_path / "a.mat"), pcn.vl_simplenn_tidy(net), "net")


def same(a, b, where):
    if isinstance(b, dict):
        assert sorted(a) == sorted(b), where
        for k in b:
            same(a[k], b[k], f"{where}.{k}")
    elif isinstance(b, (list, tuple)):
        assert len(a) == len(b), where
        for i, (v, w) in enumerate(zip(a, b)):
            same(v, w, f"{where}[{i}]")
    elif isinstance(b, str):
        assert a == b, where
    else:
        assert np.array_equal(np.ravel(a, "F"), np.ravel(b, "F")), where
        if isinstance(b, np.ndarray):
            assert a.dtype == b.dtype, where


def test_scipy_reads_what_matlab_would(tmp_path):
    pcn.save(tmp_path / "a.mat", pcn.models.build("lenet", seed=0))
    found = scipy.io.loadmat(tmp_path / "a.mat")
    assert {"layers", "meta"} <= set(found)
    layers = found["layers"]
    assert layers.dtype == object and layers.shape == (1, 8)
    first = layers[0, 0]
    assert first.dtype.names and first["type"][0, 0][0] == "conv"
    assert first["weights"][0, 0].shape == (1, 2) and first["weights"][0, 0][0, 0].dtype == np.float32


def test_a_save_that_fails_leaves_the_old_file(tmp_path):
    net = pcn.models.build("ocr", seed=0)
    pcn.save(tmp_path / "a.mat", net)
    before = (tmp_path / "a.mat").read_bytes()
    net.layers[0].forward = lambda *a: None
    with pytest.raises(TypeError, match=r"layers\{1\}\.forward"):
        pcn.save(tmp_path / "a.mat", net)
    assert (tmp_path / "a.mat").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.mat"]


def test_only_networks_are_saved(tmp_path):
    with pytest.raises(TypeError, match="save: net must be a SimpleNN or a DagNN, got ndarray"):
        pcn.save(tmp_path / "a.mat", F)


def test_what_holds_no_network_is_said_with_what_it_holds(tmp_path):
    path = saved(
        tmp_path / "a.mat", weights=F, words=cell("a"), s={"a": 1, "b": 2}, net={"layers": cell({"type": "q"})}
    )
    with pytest.raises(ValueError, match=r"a\.mat holds no MatConvNet network") as error:
        pcn.load(path)
    for part in ("weights: 2x2x1x3 float32", "words: list of 1", "s: struct with a, b", "(q)"):
        assert part in str(error.value)


def test_unknown_layers_among_known_ones_are_kept_and_shown(tmp_path):
    net = pcn.load(saved(tmp_path / "a.mat", layers=cell(CONV, {"type": "mystery", "strength": 2.0})))
    assert net.layers[1].strength == 2 and "mystery" in pcn.vl_simplenn_display(net)[1]
    with pytest.raises(ValueError, match="mystery"):
        pcn.vl_simplenn(net, np.ones((4, 4, 1, 1), np.float32), mode="test")


def test_a_wrong_name_of_a_variable_is_answered_with_what_the_file_holds(tmp_path):
    matfile.write(tmp_path / "net.mat", {"net": {"layers": [{"type": "relu"}]}, "stats": {"train": 1.0}})
    with pytest.raises(ValueError, match=r"has no variable 'nett'; it holds net: a network; stats: struct with train$"):
        pcn.load(tmp_path / "net.mat", variable="nett")
