"""One self-contained HTML page about an experiment: nothing is loaded from anywhere when it is opened."""

from __future__ import annotations

import base64
import html
import io
import os
import re
from collections.abc import Callable
from functools import partial
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

# The colours and fonts of the site (docs/_static/site.css), in the light and in the dark.
_STYLE = """
:root { color-scheme: light dark; --ground: #fff; --text: #1b1b1d; --quiet: #5a5c63; --line: #e3e5ea; --code: #f2f3f5;
  --brand: #1f6fb4; }
@media (prefers-color-scheme: dark) { :root { --ground: #131416; --text: #cfd0d0; --quiet: #9ca0a5; --line: #303335;
  --code: #1e2022; --brand: #6fb1ea; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--text); line-height: 1.5; font-family: -apple-system,
  BlinkMacSystemFont, "Segoe UI", Helvetica, Arial, sans-serif; overflow-wrap: break-word; }
main { max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 2.2rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.4rem; margin: 2.5rem 0 .8rem; }
h2.fold { font-size: 1.8rem; margin-top: 4rem; padding-top: 1rem; border-top: 3px solid var(--brand); }
p, summary { color: var(--quiet); } summary { cursor: pointer; margin: .5rem 0; }
pre, .wide { overflow-x: auto; }
pre { background: var(--code); border-radius: .3rem; padding: .8rem; margin: .8rem 0; font: .75rem/1.4 SFMono-Regular,
  Menlo, Consolas, Monaco, "Liberation Mono", monospace; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; margin-bottom: 1rem; }
td, th { padding: .2rem .9rem .2rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td { text-align: right; } td:first-child, th:first-child { text-align: left; }
table.pairs { width: 100%; } .pairs td { text-align: left; overflow-wrap: anywhere; }
.pairs th { color: var(--quiet); font-weight: normal; width: 14rem; }
figure { margin: 0 0 1rem; padding: .6rem; background: #fff; border: 1px solid var(--line); border-radius: .3rem; }
svg, img { display: block; max-width: 100%; height: auto; margin: 0 auto; }
img.filters { image-rendering: pixelated; width: 30rem; }
@media (max-width: 40rem) { h1 { font-size: 1.7rem; } .pairs th { width: 8rem; } }
"""
# Figures have the colours of the site's (docs/_static/matplotlibrc).
_FIGURES: Any = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": "cycler('color', ['1f6fb4', 'd1572b', '3a9160', '8d63a9', '8a6d3b', '5b6770'])",
    "font.size": 10,
}
# The second wall: were anything of a file taken for code or an address, the browser would not run it or ask for it.
_ALLOWED = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_POLICY = f'<meta http-equiv=Content-Security-Policy content="{_ALLOWED}"><meta name=referrer content=no-referrer>'
_PHONE = '<meta name=viewport content="width=device-width, initial-scale=1">'


def report(expDir: str | os.PathLike[str], path: str | os.PathLike[str] | None = None) -> Path:
    """Write the page about the training in `expDir` (default: expDir/report.html) and return its path.

    It shows the network's table, the curves and statistics, the confusion matrices of the last epoch, the filters of
    the first layer, the settings and versions. A folder of cross_validate is shown with all its folds and the pooled
    matrix. Needs matplotlib and Pillow.

    Raises ValueError where the folder holds no checkpoint.
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
    page = f"<!doctype html><html lang=en><meta charset=utf-8>{_POLICY}{_PHONE}<title>{_text(folder.resolve().name)}"
    atomic.write(target, f"{page}</title><style>{_STYLE}</style><main>{''.join(parts)}</main></html>\n")
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

    return _svg(lambda: plots.training_curves(stats, names=names), "Curves of the training over its epochs")


def _statistics(stats: Struct) -> str:
    head, *body = statistics.rows(stats)
    table = _row(head, "th") + "".join(_row(cells, "td") for cells in body)
    summary = "<summary>Statistics of every epoch</summary>"
    return f"<details>{summary}<div class=wide><table>{table}</table></div></details>"


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
        drawn = partial(plots.confusion, matrix, names)
        parts.append(_section(f"Confusion matrix: {name}", _svg(drawn, "Confusion matrix as shades") + text))
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
    return f'<figure><img class=filters alt="Filters of the first layer" src="data:image/png;base64,{data}"></figure>'


def _pairs(values: dict[str, Any] | None) -> str:
    rows = "".join(f"<tr><th>{_text(k)}</th><td>{_text(_short(v))}</td></tr>" for k, v in (values or {}).items())
    return f"<table class=pairs>{rows}</table>" if rows else ""


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
    return f"<table>{table}</table>" if folds else ""


def _lines(summary: dict[str, Any] | None) -> str:
    rows = [
        f"<tr><th>{_text(k)}</th><td>{v['mean']:.4f} &plusmn; {v['deviation']:.4f}</td></tr>"
        for k, v in (summary or {}).items()
    ]
    head = "<tr><th>over the folds</th><th>mean &plusmn; deviation</th></tr>"
    return f"<table>{head}{''.join(rows)}</table>" if rows else ""


def _svg(draw: Callable[[], Any], text: str) -> str:
    """What is drawn. `text`, for those who do not see it, stands in the markup: it holds no name from a file."""
    from matplotlib import rc_context

    with rc_context(_FIGURES):
        figure = np.ravel(draw())[0].figure
        out = io.StringIO()
        figure.savefig(out, format="svg")
    svg = out.getvalue()
    return f'<figure role=img aria-label="{text}">{svg[svg.index("<svg") :]}</figure>'
