"""cross_validate trains, predicts what it held out, resumes, and pools; report makes a page of it."""

import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet import view
from pyconvnet.report import report
from pyconvnet.training import run_metadata


@pytest.fixture
def imdb():
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3 + 1
    data = rng.standard_normal((8, 8, 1, 60)).astype(np.float32)
    data[:, :, 0, :] += 2 * (labels - 2)
    return pcn.Struct(
        images=pcn.Struct(data=data, labels=labels.astype(float), patient=np.arange(60) // 6),
        meta=pcn.Struct(classes=["low", "middle", "high"]),
    )


def get_batch(imdb, batch):
    return imdb.images.data[..., batch], imdb.images.labels[batch]


def build():
    rng = np.random.default_rng(1)
    f = (rng.standard_normal((8, 8, 1, 6)) / 20).astype(np.float32), np.zeros(6, np.float32)
    g = (rng.standard_normal((1, 1, 6, 3)) / 3).astype(np.float32), np.zeros(3, np.float32)
    layers = [{"type": "conv", "weights": list(f)}, {"type": "relu"}, {"type": "conv", "weights": list(g)}]
    return pcn.vl_simplenn_tidy(pcn.SimpleNN(layers=[*layers, {"type": "softmaxloss"}]))


def validate(imdb, folder, epochs=3, **options):
    options = {"batchSize": 10, "learningRate": 0.05, "verbose": False, "plotStatistics": False, **options}
    return pcn.cross_validate(
        build, imdb, get_batch, groups=imdb.images.patient, expDir=folder, numEpochs=epochs, **{"folds": 4, **options}
    )


def test_every_image_is_predicted_by_the_network_that_did_not_see_it(imdb):
    result = validate(imdb, None)
    assert sorted(np.unique(result.fold)) == [1, 2, 3, 4] and result.confusion.sum() == 60
    for k, fold in enumerate(result.folds, 1):
        held = np.flatnonzero(result.fold == k)
        x = imdb.images.data[..., held]
        assert np.array_equal(result.predictions[held], pcn.predict(fold.net, x)[0, 0].argmax(axis=0) + 1)
        assert fold.confusion.sum() == held.size and fold.stats.train[-1].num == 60 - held.size
    assert np.trace(result.confusion) == np.sum(result.predictions == imdb.images.labels)
    assert result.summary.accuracy.mean > 0.8
    accuracies = [fold.accuracy for fold in result.folds]
    assert np.isclose(result.summary.accuracy.deviation, np.std(accuracies, ddof=1))
    assert result.classes == ["low", "middle", "high"]


def test_a_splitter_of_scikit_learn_makes_the_folds(imdb, tmp_path):
    model_selection = pytest.importorskip("sklearn.model_selection")
    splitter = model_selection.StratifiedGroupKFold(3, shuffle=True, random_state=0)
    result = validate(imdb, tmp_path, folds=splitter)
    held = [outside for _, outside in splitter.split(np.zeros((60, 1)), imdb.images.labels, imdb.images.patient)]
    assert len(result.folds) == 3 and [np.flatnonzero(result.fold == k).tolist() for k in (1, 2, 3)] == [
        outside.tolist() for outside in held
    ]
    assert "StratifiedGroupKFold" in run_metadata.read(tmp_path)["options"]["folds"]
    with pytest.raises(ValueError, match="holds networks trained on other folds"):
        validate(imdb, tmp_path, folds=model_selection.KFold(3))


def test_it_goes_on_where_it_was_interrupted(imdb, tmp_path):
    whole = validate(imdb, tmp_path / "whole")
    validate(imdb, tmp_path / "parts", epochs=2)
    shutil.rmtree(tmp_path / "parts" / "fold-3")
    again = validate(imdb, tmp_path / "parts")
    assert np.array_equal(whole.predictions, again.predictions)
    for a, b in zip(whole.folds, again.folds):
        assert np.array_equal(a.net.layers[0].weights[0], b.net.layers[0].weights[0].reshape(8, 8, 1, 6))
    written = {p: p.stat().st_mtime_ns for p in (tmp_path / "parts").glob("fold-*/*.mat")}
    validate(imdb, tmp_path / "parts")
    assert written == {p: p.stat().st_mtime_ns for p in (tmp_path / "parts").glob("fold-*/*.mat")}


def test_folds_side_by_side_are_those_one_after_another(imdb):
    one = validate(imdb, None)
    with ThreadPoolExecutor(2) as executor:
        both = validate(imdb, None, executor=executor)
    assert np.array_equal(one.predictions, both.predictions) and one.summary == both.summary
    for a, b in zip(one.folds, both.folds):
        assert np.array_equal(a.net.layers[0].weights[0], b.net.layers[0].weights[0])
    with pytest.raises(TypeError, match=r"executor must have submit, as those of concurrent\.futures do, got int"):
        validate(imdb, None, executor=2)


def test_networks_of_other_folds_are_not_gone_on_with(imdb, tmp_path):
    validate(imdb, tmp_path, epochs=1)
    for other in ({"seed": 1}, {"images": np.arange(54)}):
        with pytest.raises(ValueError, match="holds networks trained on other folds"):
            validate(imdb, tmp_path, epochs=2, **other)
    validate(imdb, tmp_path, epochs=1, seed=1, continue_=False)
    assert validate(imdb, tmp_path, epochs=1, seed=1).confusion.sum() == 60


def test_class_names_that_do_not_fit_are_refused_before_training(imdb, tmp_path):
    with pytest.raises(ValueError, match="got 2 for 3 classes"):
        validate(imdb, tmp_path, classes=["low", "high"])
    assert not list(tmp_path.iterdir())


def test_a_network_may_predict_a_class_that_no_image_has(imdb):
    few = np.flatnonzero(imdb.images.labels < 3)
    del imdb.meta["classes"]

    def sure_of_the_third():
        net = build()
        net.layers[2].weights[1] = np.array([0, 0, 100], np.float32)
        return net

    options = {"folds": 2, "expDir": None, "numEpochs": 1, "learningRate": 1e-9, "verbose": False}
    result = pcn.cross_validate(sure_of_the_third, imdb, get_batch, images=few, **options)
    assert result.predictions[few].max() == 3 and result.confusion.shape == (3, 3)


def test_a_graph_is_validated_as_well(imdb):
    def graph():
        return pcn.DagNN.fromSimpleNN(build())

    names, objective = graph().getInputs(), graph().getOutputs()[0]

    def batch(imdb, images):
        x, labels = get_batch(imdb, images)
        return {names[0]: x, names[1]: labels}

    options = {"numEpochs": 6, "batchSize": 10, "learningRate": 0.05, "derOutputs": [objective, 1], "verbose": False}
    result = pcn.cross_validate(graph, imdb, batch, folds=2, expDir=None, **options)
    assert result.summary.accuracy.mean > 0.8


def test_labels_are_needed(imdb):
    del imdb.images["labels"]
    with pytest.raises(ValueError, match=r"cross_validate: imdb\.images must have labels"):
        validate(imdb, None)


@pytest.fixture
def page(imdb, tmp_path):
    pytest.importorskip("matplotlib")
    pytest.importorskip("PIL")
    validate(imdb, tmp_path / "study", epochs=2)
    return report(tmp_path / "study")


def test_the_report_is_one_page_that_needs_nothing_else(page):
    text = page.read_text(encoding="utf-8")
    for part in ("Confusion matrix", "Filters of the first layer", "Settings", "Versions", "batchSize", "middle"):
        assert part in text
    assert text.count(">fold-") == 4 and "mean &plusmn; deviation" in text
    outside = text.replace("http://www.w3.org", "").replace("http://purl.org", "").replace("http://creativecommons", "")
    assert "http://" not in outside and "https://" not in outside.replace("https://matplotlib.org", "")
    assert "src=" not in text.replace('src="data:', "") and "<link" not in text and "<script" not in text


def test_the_report_is_readable_on_a_phone_and_says_what_its_pictures_show(page):
    from tests.site import __main__ as site
    from tests.site import browser, pages

    assert not pages.faults(page.parent)
    text = page.read_text(encoding="utf-8")
    assert text.count("<svg") == text.count("<figure role=img aria-label=") > 0
    if browser.FOUND:
        assert not list(site.seen(page.parent))


def test_a_study_that_was_interrupted_is_shown_as_far_as_it_went(imdb, tmp_path):
    pytest.importorskip("matplotlib")
    asked = []

    def until(imdb, batch):
        asked.append(batch)
        if len(asked) > 12:
            raise KeyboardInterrupt
        return get_batch(imdb, batch)

    options = {"numEpochs": 1, "batchSize": 10, "verbose": False, "plotStatistics": False, "folds": 4}
    with pytest.raises(KeyboardInterrupt):
        pcn.cross_validate(build, imdb, until, expDir=tmp_path, **options)
    text = report(tmp_path).read_text(encoding="utf-8")
    assert "is not complete" in text and text.count(">fold-") == 1


def test_folds_that_have_not_begun_are_not_trained_after_ctrl_c(imdb, tmp_path):
    asked = []

    def stopped(imdb, batch):
        asked.append(batch)
        if len(asked) == 1:
            raise KeyboardInterrupt
        time.sleep(0.1)
        return get_batch(imdb, batch)

    with pytest.raises(KeyboardInterrupt), ThreadPoolExecutor(1) as executor:
        # the first fold waits until all of them are handed over
        executor.submit(time.sleep, 0.5)
        options = {"numEpochs": 1, "batchSize": 10, "verbose": False, "plotStatistics": False, "folds": 6}
        pcn.cross_validate(build, imdb, stopped, expDir=tmp_path, executor=executor, **options)
    assert (tmp_path / "fold-1").exists() and not (tmp_path / "fold-6").exists()


def test_the_confusion_matrix_of_a_graph_and_of_very_many_classes_are_reported(imdb, tmp_path):
    pytest.importorskip("matplotlib")
    graph = pcn.DagNN.fromSimpleNN(build(), canonicalNames=True)
    imdb.images.set = np.repeat([1, 2], [40, 20])

    def batch(imdb, images):
        return {"input": imdb.images.data[..., images], "label": imdb.images.labels[images]}

    options = {"numEpochs": 1, "batchSize": 10, "verbose": False, "plotStatistics": False}
    net, _ = pcn.cnn_train_dag(graph, imdb, batch, expDir=tmp_path, **options)
    kept = run_metadata.read(tmp_path)
    predicted = pcn.predict(net, imdb.images.data[..., 40:])[0, 0].argmax(axis=0) + 1
    expected = view.confusion_matrix(imdb.images.labels[40:], predicted, 3)
    assert kept["confusion"] == {"val": expected.tolist()}
    assert "Confusion matrix: val" in report(tmp_path).read_text(encoding="utf-8")
    run_metadata.write(tmp_path, confusion={"val": np.eye(300, dtype=int), "few": np.eye(65, dtype=int)})
    text = report(tmp_path).read_text(encoding="utf-8")
    assert "too many classes" in text and "Confusion matrix: few" in text


def test_settings_of_many_numbers_are_told_in_short():
    from pyconvnet.report import _short

    assert _short([0.1] * 20 + [0.01]) == "0.1 (20 times), 0.01"
    assert _short(list(range(50))) == "50 values: 0, 1 ... 49"
    assert _short({"perimeter": []}) == "perimeter: none"


def test_a_folder_without_training_gets_no_report(tmp_path):
    with pytest.raises(ValueError, match=r"holds no net-epoch-N\.mat"):
        report(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_browser_shows_the_report(page, tmp_path):
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium is installed")
    picture = tmp_path / "page.png"
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1200,3000", f"--screenshot={picture}"]
    home = f"--user-data-dir={tmp_path / 'profile'}"
    done = subprocess.run([browser, *options, home, page.as_uri()], capture_output=True, text=True, timeout=120)
    assert picture.is_file(), done.stderr[-500:]
    shown = pcn.images.imread(picture)
    assert shown.shape[0] == 3000 and 5 < shown.std() and (shown < 128).mean() > 0.002
