"""One self-contained HTML page about an experiment: nothing is loaded from anywhere when it is opened."""

from __future__ import annotations

import base64
import html
import io
import os
import re
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from pyconvnet import atomic
from pyconvnet.networks import network
from pyconvnet.records import Struct
from pyconvnet.text import visible
from pyconvnet.training import checkpoints, run_metadata, statistics
from pyconvnet.values import as_array

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; color: #1c1c1c; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; border-bottom: 1px solid #ddd; }
h2.fold { font-size: 1.4rem; margin-top: 3.5rem; border-bottom: 3px solid #888; }
pre { overflow-x: auto; background: #f7f7f7; padding: .8rem; font-size: 12px; line-height: 1.35; }
table { border-collapse: collapse; font-size: 13px; } td, th { padding: .15rem .8rem; border-bottom: 1px solid #eee; }
td { text-align: right; } td:first-child, th:first-child { text-align: left; }
svg, img { max-width: 100%; height: auto; }
img.filters { image-rendering: pixelated; width: 30rem; }
"""
# The second wall: were anything of a file taken for code or an address, the browser would not run it or ask for it.
_ALLOWED = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_POLICY = f'<meta http-equiv=Content-Security-Policy content="{_ALLOWED}"><meta name=referrer content=no-referrer>'


def report(expDir: str | os.PathLike[str], path: str | os.PathLike[str] | None = None) -> Path:
    """Write the page about the training in `expDir` (default: expDir/report.html) and return its path.

    It shows the network's table, the curves and statistics, the confusion matrices of the last epoch, the filters of
    the first layer, the settings and versions. A folder of cross_validate is shown with all its folds and the pooled
    matrix. Needs matplotlib and Pillow. Raises ValueError where the folder holds no checkpoint.
    """
    folder = Path(expDir)
    if not folder.is_dir():
        raise ValueError(f"report: folder must be the expDir of a training, got {folder}, which is not a folder")
    parts = [_title(folder)]
    folds = sorted((p for p in folder.glob("fold-*") if p.is_dir()), key=lambda p: int(re.sub(r"\D", "", p.name) or 0))
    own = checkpoints.last(folder)
    if own is None and not folds:
        raise ValueError(f"report: {folder} holds no net-epoch-N.mat and no fold-N folders")
    if own is not None:
        parts += _training(folder, own)
    if folds:
        pooled = _notes(folder)
        if pooled.get("confusion"):
            rows = _folds(pooled.get("folds")) + _lines(pooled.get("summary"))
            parts.append(_section("Cross-validation", rows + _pairs(pooled.get("options"))))
            parts += _confusions(pooled)
        else:
            parts.append("<p>The cross-validation is not complete: there is no pooled result yet.</p>")
        for k, fold in enumerate(folds):
            point = checkpoints.last(fold)
            if point is not None:
                parts.append(f"<h2 class=fold>{_text(fold.name)}</h2>")
                parts += _training(fold, point, network=k == 0)
    target = folder / "report.html" if path is None else Path(path)
    page = f"<!doctype html><html lang=en><meta charset=utf-8>{_POLICY}<title>{_text(folder.name)}</title>"
    atomic.write(target, f"{page}<style>{_STYLE}</style>{''.join(parts)}</html>\n")
    return target


def _text(value: Any) -> str:
    """Anything as text of the page."""
    return html.escape(visible(str(value)))


def _title(folder: Path) -> str:
    return f"<h1>{_text(folder.resolve().name)}</h1>"


def _training(folder: Path, point: tuple[int, Struct], network: bool = True) -> list[str]:
    epoch, saved = point
    stats = statistics.epochs(saved.get("stats"), Struct())
    parts = [f"<p>{epoch} epoch{'s' if epoch > 1 else ''}.</p>"]
    if network:
        parts.append(_section("Network", _network(saved["net"])))
    notes = _notes(folder)
    if statistics.quantities(stats):
        few = 0 < len(notes.get("classes") or ()) <= 5
        # Of five classes, one of the best five is always right.
        names = [name for name in statistics.quantities(stats) if not (few and name == "top5err")]
        parts.append(_section("Training", _curves(stats, names) + _statistics(stats)))
    parts += _confusions(notes)
    if network:
        parts.append(_section("Filters of the first layer", _filters(saved["net"])))
    if notes:
        parts.append(_section("Settings", _pairs(notes.get("options"))))
        parts.append(_section("Versions", _pairs(notes.get("versions"))))
    return parts


def _notes(folder: Path) -> dict[str, Any]:
    """training.json, in which anything may stand."""
    notes = run_metadata.read(folder)
    tables = {name: notes.get(name) or {} for name in ("confusion", "summary", "options", "versions")}
    lists = {name: notes.get(name) or [] for name in ("classes", "folds")}
    wrong = [k for k, v in tables.items() if not isinstance(v, dict)]
    wrong += [k for k, v in lists.items() if not isinstance(v, list)]
    if not wrong:
        wrong += ["confusion"] * (not all(isinstance(m, str) or _is_square(m) for m in tables["confusion"].values()))
        wrong += ["summary"] * (not all(_has_numbers(v, "mean", "deviation") for v in tables["summary"].values()))
        wrong += ["folds"] * (not all(_has_numbers(v, "images", "accuracy") for v in lists["folds"]))
    if wrong:
        raise ValueError(f"report: {folder / run_metadata.NAME}: {wrong[0]} is not what a training writes there")
    return notes


def _is_square(matrix: Any) -> bool:
    found = as_array(matrix)
    return found.dtype.kind in "iuf" and found.ndim == 2 and found.shape[0] == found.shape[1] > 0


def _has_numbers(value: Any, *names: str) -> bool:
    return isinstance(value, dict) and all(isinstance(value.get(name), (int, float)) for name in names)


def _section(title: str, content: str) -> str:
    return f"<section><h2>{_text(title)}</h2>{content}</section>" if content else ""


def _network(net: Any) -> str:
    return f"<pre>{html.escape(network(net).table())}</pre>"


def _curves(stats: Struct, names: list[str]) -> str:
    from pyconvnet.view import plots

    return _svg(plots.training_curves(stats, names=names))


def _statistics(stats: Struct) -> str:
    head, *body = statistics.rows(stats)
    table = _row(head, "th") + "".join(_row(cells, "td") for cells in body)
    return f"<details><summary>Statistics of every epoch</summary><table>{table}</table></details>"


def _row(cells: list[str], tag: str) -> str:
    return "<tr>" + "".join(f"<{tag}>{_text(c)}</{tag}>" for c in cells) + "</tr>"


def _confusions(notes: dict[str, Any]) -> list[str]:
    from pyconvnet.view import measures, plots

    parts = []
    for name, matrix in (notes.get("confusion") or {}).items():
        if isinstance(matrix, str):
            parts.append(_section(f"Confusion matrix: {name}", "<p>Of too many classes to be kept.</p>"))
            continue
        matrix = np.asarray(matrix)
        names = notes.get("classes")
        names = names if names and len(names) == len(matrix) else None
        text = f"<pre>{html.escape(measures.confusion_text(matrix, names))}</pre>" if len(matrix) <= 30 else ""
        parts.append(_section(f"Confusion matrix: {name}", _svg(plots.confusion(matrix, names)) + text))
    return parts


def _filters(net: Any) -> str:
    from pyconvnet.view import inside

    try:
        tiles = inside.filters(net)
    except (ValueError, KeyError, IndexError):
        return ""
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(np.uint8(np.round(255 * np.squeeze(tiles)))).save(out, "PNG")
    data = base64.b64encode(out.getvalue()).decode()
    return f'<img class=filters alt="first-layer filters" src="data:image/png;base64,{data}">'


def _pairs(values: dict[str, Any] | None) -> str:
    rows = "".join(f"<tr><th>{_text(k)}</th><td>{_text(_short(v))}</td></tr>" for k, v in (values or {}).items())
    return f"<table>{rows}</table>" if rows else ""


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k}: {_short(v)}" for k, v in value.items()) or "none"
    if isinstance(value, list) and len(value) > 4 and len({*map(str, value)}) > 6:
        return f"{len(value)} values: {value[0]}, {value[1]} ... {value[-1]}"
    if isinstance(value, list):
        runs = [(v, len(list(same))) for v, same in groupby(value)]
        return ", ".join(f"{v} ({n} times)" if n > 1 else str(v) for v, n in runs) or "none"
    text = str(value)
    return text if len(text) <= 200 else text[:200] + " ..."


def _folds(folds: list[dict[str, Any]] | None) -> str:
    rows = [["fold", "images", "accuracy"]]
    rows += [[str(k), str(f["images"]), f"{f['accuracy']:.4f}"] for k, f in enumerate(folds or [], 1)]
    table = _row(rows[0], "th") + "".join(_row(cells, "td") for cells in rows[1:])
    return f"<table>{table}</table><br>" if folds else ""


def _lines(summary: dict[str, Any] | None) -> str:
    rows = [
        f"<tr><th>{_text(k)}</th><td>{v['mean']:.4f} &plusmn; {v['deviation']:.4f}</td></tr>"
        for k, v in (summary or {}).items()
    ]
    head = "<tr><th>over the folds</th><th>mean &plusmn; deviation</th></tr>"
    return f"<table>{head}{''.join(rows)}</table><br>" if rows else ""


def _svg(drawn: Any) -> str:
    figure = np.ravel(drawn)[0].figure
    out = io.StringIO()
    figure.savefig(out, format="svg")
    text = out.getvalue()
    return text[text.index("<svg") :]
