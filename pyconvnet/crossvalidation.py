"""Cross-validation: one network per fold, groups kept together, and the predictions of all folds pooled."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pyconvnet import atomic
from pyconvnet.arrays import is_empty
from pyconvnet.networks import network
from pyconvnet.prediction import predict
from pyconvnet.records import Struct
from pyconvnet.values import as_array, flag, function, number, path_text, whole_number
from pyconvnet.view import measures


def fold_of(labels: Any, folds: int = 5, groups: Any = None, stratify: bool = True, seed: int = 0) -> np.ndarray:
    """The fold 0..folds-1 of each image.

    labels    one class number per image
    groups    one value per image (a patient, a slide): images of one group share a fold
    stratify  spread each class evenly: groups are dealt out, largest first, each to the fold where the classes come
              out most even

    Raises ValueError for fewer images or groups than folds.
    """
    labels = np.asarray(labels).ravel()
    groups = np.arange(labels.size) if groups is None else as_array(groups).ravel()
    if groups.size != labels.size:
        raise ValueError(f"cross_validate: {labels.size} labels and {groups.size} groups must be as many")
    names, member = np.unique(groups, return_inverse=True)
    member = member.ravel()
    accepted = f"a whole number from 2 to the number of groups ({names.size})"
    folds = int(number("cross_validate: folds", folds, accepted, lambda n: n in range(2, names.size + 1)))
    classes, coded = np.unique(labels, return_inverse=True)
    counts = np.zeros((names.size, classes.size))
    np.add.at(counts, (member, coded.ravel()), 1)
    rng = np.random.default_rng(seed)
    order = rng.permutation(names.size)
    chosen = np.empty(names.size, int)
    if not stratify:
        chosen[order] = np.arange(names.size) % folds
        return chosen[member]
    order = order[np.argsort(-counts[order].sum(axis=1), kind="stable")]
    held = np.zeros((folds, classes.size))
    share = counts.sum(axis=0) / folds
    for place, group in enumerate(order):
        cost = (((held + counts[group] - share) ** 2 - (held - share) ** 2) / np.maximum(share, 1)).sum(axis=1)
        empty = ~held.any(axis=1)
        if empty.sum() >= names.size - place:
            cost[~empty] = np.inf
        chosen[group] = int(np.argmin(np.round(cost, 9)))
        held[chosen[group]] += counts[group]
    return chosen[member]


def fold_by(splitter: Any, labels: np.ndarray, groups: Any = None) -> np.ndarray:
    """The fold 0, 1 ... of each image by a splitter of scikit-learn, such as StratifiedGroupKFold(5).

    ValueError for one that does not hold out each image once and train on all others, as ShuffleSplit.
    """
    everything = np.arange(labels.size)
    fold, held = np.full(labels.size, -1), []
    whole = True
    for k, (inside, outside) in enumerate(splitter.split(everything[:, None], labels, groups)):
        whole = whole and np.array_equal(np.sort(np.concatenate([inside, outside])), everything)
        fold[outside] = k
        held.append(outside)
    if not whole or not np.array_equal(np.sort(np.concatenate(held)), everything):
        raise ValueError(
            f"cross_validate: folds must hold out each image once and train on all others; {splitter} does not"
        )
    return fold


def _images(images: Any, count: int) -> np.ndarray:
    a = as_array(images).ravel()
    if a.dtype.kind not in "iu" or not a.size or a.min() < 0 or a.max() >= count:
        raise ValueError(f"cross_validate: images must be 0-based indexes below {count}, got {images!r}")
    return a


def cross_validate(
    build: Callable[[], Any],
    imdb: Any,
    getBatch: Callable[..., Any],
    *,
    folds: Any = 5,
    groups: Any = None,
    stratify: bool = True,
    seed: int = 0,
    expDir: str | Path | None = "data/exp",
    classes: Sequence[str] | None = None,
    images: Any = None,
    train: Callable[..., Any] | None = None,
    executor: Any = None,
    **options: Any,
) -> Struct:
    """Train one network per fold and evaluate each on the fold it did not see.

    build     build() -> a new network, ending in a loss (the same for every fold; seed it inside)
    imdb      with images.labels (or label), one class number per image
    getBatch  as for cnn_train; images.set of its imdb marks the images that this fold trains on (1), holds out (2) or
              leaves aside (3), so that it can keep jitter to the training images
    folds     how many; or a splitter of scikit-learn, such as StratifiedGroupKFold(5), which then has its own ways to
              stratify and to draw, and gets the labels and groups
    groups    one value per image; no group is both in a fold and outside it
    images    0-based indexes of the images to use; otherwise all
    train     cnn_train, or cnn_train_dag
    executor  trains the folds side by side: one of concurrent.futures, or what joblib, dask or ray offer in its place
              (`submit`). With processes, build and getBatch must be functions that these can be handed
    options   those of cnn_train; evalSets may be a function of the indexes held out. Each fold keeps its checkpoints
              in expDir/fold-1, expDir/fold-2 ... and is resumed from there; expDir/folds.json says which image was in
              which fold, and other folds are refused: a network would be tested on images that it was trained on

    Under torchrun, the processes share the folds out, and all return the same.

    Returns Struct(folds, fold, predictions, confusion, classes, summary): `folds` one Struct(stats, net, confusion,
    accuracy) each; `fold` and `predictions` per image (0 where an image was not used); `confusion` pooled over the
    folds; `summary` {"accuracy": Struct(mean, deviation), "val objective": ...} over the folds, after the last epoch.

    Raises ValueError for labels, groups, class names and an expDir that do not fit, and as cnn_train does.
    """
    from pyconvnet.training import distributed, expdir, run_metadata
    from pyconvnet.training.labels import of_imdb

    labels = of_imdb(imdb)
    if labels is None or (np.ndim(labels) == 4 and np.shape(labels)[0] * np.shape(labels)[1] > 1):
        raise ValueError("cross_validate: imdb.images must have labels (or label), one class number per image")
    labels = np.asarray(labels).ravel().astype(int)
    function("cross_validate: build", build)
    train = None if train is None else function("cross_validate: train", train)
    seed, stratify = whole_number("cross_validate: seed", seed, 0), flag("cross_validate: stratify", stratify)
    expDir = None if expDir is None else path_text("cross_validate: expDir", expDir)
    used = np.arange(labels.size) if images is None else _images(images, labels.size)
    own = None if groups is None else as_array(groups).ravel()
    if own is not None and own.size != labels.size:
        raise ValueError(f"cross_validate: {labels.size} labels and {own.size} groups must be as many")
    if own is not None and own.dtype.kind not in "biufUSM":
        raise TypeError("cross_validate: groups must be numbers or texts, one for each image")
    own = None if own is None else own[used]
    fold = np.full(labels.size, -1)
    splits = callable(getattr(folds, "split", None)) and not isinstance(folds, str)
    fold[used] = fold_by(folds, labels[used], own) if splits else fold_of(labels[used], folds, own, stratify, seed)
    names = (imdb.get("meta") or {}).get("classes") if is_empty(classes) else classes
    names = list(names) if isinstance(names, (list, tuple)) else None
    count = int(max(labels[used].max(), len(names or ())))
    measures.names_of(count, names)
    if executor is not None and not callable(getattr(executor, "submit", None)):
        kind = type(executor).__name__
        raise TypeError(f"cross_validate: executor must have submit, as those of concurrent.futures do, got {kind}")
    jobs = []
    for k in range(int(fold.max()) + 1):
        own_options = {**options, "expDir": None if expDir is None else Path(expDir) / f"fold-{k + 1}"}
        if callable(options.get("evalSets")):
            own_options["evalSets"] = options["evalSets"](np.flatnonzero(fold == k))
        jobs.append((k, fold, build, imdb, getBatch, train, own_options))
    afresh = not options.get("continue_", options.get("continue", True))
    with (
        distributed.joined("cross_validate") as team,
        expdir.claimed("cross_validate", None if expDir is None or team.rank else Path(expDir)),
    ):
        if expDir is not None:
            team.in_turn(lambda: _keep_folds(Path(expDir), fold + 1, afresh))
        if team.size > 1:
            for *_, own_options in jobs:
                own_options["gpus"] = distributed.own_devices(options.get("gpus", ()))
                own_options["verbose"] = options.get("verbose", True) and team.rank == 0
        mine = jobs[team.rank :: team.size]
        if executor is not None:
            waiting = [executor.submit(_train_alone, *job) for job in mine]
            try:
                trained = [future.result() for future in waiting]
            except BaseException:  # Ctrl-C as well: folds that have not begun need not be trained
                for future in waiting:
                    future.cancel()
                raise
        else:
            trained = [(_train_fold if team.size == 1 else _train_alone)(*job) for job in mine]
        trained = [pair for pairs in team.gather(trained) for pair in pairs]
        writes = team.rank == 0
    predictions = np.zeros(labels.size, int)
    for k, _, found in trained:
        predictions[fold == k] = found
    results = [result for _, result, _ in sorted(trained, key=lambda each: each[0])]
    # A network may have more outputs than there are classes.
    count = max(count, int(predictions.max()))
    names = names and [*names, *map(str, range(len(names) + 1, count + 1))]
    for k, result in enumerate(results):
        result.confusion = measures.confusion_matrix(labels[fold == k], predictions[fold == k], count)
        result.accuracy = measures.precision_recall(result.confusion).accuracy
    values = {"accuracy": [r.accuracy for r in results]}
    # Of five classes, one of the best five is always right.
    useless = {"top5err"} if count <= 5 else set()
    for name in sorted(set(results[0].stats["val"][-1]) - {"num", "time"} - useless) if results[0].stats["val"] else ():
        found = np.stack([np.ravel(r.stats["val"][-1][name]) for r in results], axis=1)
        for i, each in enumerate(found.tolist(), 1):
            values[f"val {name}" if len(found) == 1 else f"val {name} {i}"] = each
    result = Struct(
        folds=results,
        fold=fold + 1,
        predictions=predictions,
        confusion=measures.confusion_matrix(labels[used], predictions[used], count),
        classes=measures.names_of(count, names),
        summary=Struct(
            {k: Struct(mean=float(np.mean(v)), deviation=float(np.std(v, ddof=1))) for k, v in values.items()}
        ),
    )
    if expDir is not None and writes:
        how = {"folds": str(folds)} if splits else {"folds": folds, "stratify": stratify, "seed": seed}
        run_metadata.write(
            Path(expDir),
            confusion={"pooled over the folds": result.confusion},
            classes=result.classes,
            summary=result.summary,
            folds=[{"images": int(r.confusion.sum()), "accuracy": r.accuracy} for r in results],
            options={**how, "groups": groups is not None},
        )
    return result


def _train_fold(
    k: int, fold: np.ndarray, build: Any, imdb: Any, getBatch: Any, train: Any, options: dict[str, Any]
) -> tuple[int, Struct, np.ndarray]:
    """(k, Struct(stats, net), predictions of the images held out) of the fold k."""
    inside, outside = np.flatnonzero(fold == k), np.flatnonzero((fold >= 0) & (fold != k))
    net = build()
    fit = train or network(net).trainer()
    marks = np.where(fold == k, 2, np.where(fold >= 0, 1, 3))
    marked = type(imdb)({**imdb, "images": type(imdb["images"])({**imdb["images"], "set": marks})})
    net, stats = fit(net, marked, getBatch, **{**options, "train": outside, "val": inside})
    found = _predicted(net, marked, getBatch, inside, int(options.get("batchSize", 256)))
    return k, Struct(stats=stats, net=net), found


def _train_alone(*job: Any) -> tuple[int, Struct, np.ndarray]:
    """The same in this process, which does not train together with others meanwhile."""
    from pyconvnet.training.distributed import alone

    with alone():
        return _train_fold(*job)


def _keep_folds(folder: Path, fold: np.ndarray, afresh: bool) -> None:
    """Write which image is in which fold; refuse where networks of other folds are."""
    path = folder / "folds.json"
    if path.is_file() and not afresh and json.loads(path.read_text(encoding="utf-8")) != fold.tolist():
        raise ValueError(
            f"cross_validate: {folder} holds networks trained on other folds (folds, seed, groups or images were "
            "others); give another expDir, or continue_=False to begin again"
        )
    atomic.make_folder(folder)
    atomic.write(path, json.dumps(fold.tolist()))


def _predicted(net: Any, imdb: Any, getBatch: Callable[..., Any], images: np.ndarray, batchSize: int) -> np.ndarray:
    """The class (from 1) with the largest score for each image, averaged over positions."""
    out = np.zeros(images.size, int)
    for start in range(0, images.size, batchSize):
        part = images[start : start + batchSize]
        batch = getBatch(imdb, part)
        if not isinstance(batch, dict):
            batch = dict(zip(batch[::2], batch[1::2])) if isinstance(batch[0], str) else batch[0]
        out[start : start + part.size] = predict(net, batch).mean(axis=(0, 1)).argmax(axis=0) + 1
    return out


def summary_text(result: Struct) -> str:
    """The outcome of cross_validate as text: a line per fold, mean and deviation, the pooled confusion matrix."""
    lines = [f"fold {k}: accuracy {r.accuracy:.3f} of {int(r.confusion.sum())}" for k, r in enumerate(result.folds, 1)]
    lines += [f"{name}: {s.mean:.3f} +- {s.deviation:.3f}" for name, s in result.summary.items()]
    return "\n".join([*lines, "", measures.confusion_text(result.confusion, result.classes)])
