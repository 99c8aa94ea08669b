"""Names as a stranger may put them into files: markup, escapes, formulas, paths, and what ends what they stand in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

import pyconvnet as pcn
from pyconvnet.records import Struct, StructArray

RAN = "it-ran"  # what code in a name would leave behind
_DO = f"document.title='{RAN}';document.body.setAttribute('class','{RAN}')"
MARKUP = [
    "<img src=http://127.0.0.1:9/pixel>",
    f"<script>{_DO}</script>",
    f'"><img src=x onerror="{_DO}">',
    f"'><svg/onload={_DO}>",
    f"</pre></style></title></table><script>{_DO}</script><style>",
    f'<a href="javascript:{_DO}" autofocus onfocus="{_DO}">x</a><input autofocus onfocus="{_DO}">',
    f"--><script>{_DO}</script><!-- <![CDATA[ ]]>",
    f"&lt;script&gt;{_DO}&#60;/script&#62;",
    "<meta http-equiv=refresh content='0;url=http://127.0.0.1:9/gone'><base href=http://127.0.0.1:9/>",
    "<link rel=stylesheet href=http://127.0.0.1:9/style><iframe src=http://127.0.0.1:9/frame></iframe>",
    "\x00<script\x00>" + _DO + "</script>",
    "+ADw-script+AD4-" + _DO,
]
ESCAPES = [
    "\x1b[2J\x1b]0;owned\x07\x1b]8;;http://127.0.0.1:9/\x07link",
    "a\rb\nnew line\x0b\x0c\x1c\x85\u2028\u2029",
    "\u202e\u2066tac.exe\u2069\u200b\ufeff",
    "\x9b31m\x90q",
]
FORMULAS = [
    "=cmd|' /C calc'!A0",
    '","=HYPERLINK(1)","',
    "a,=1+cmd|' /C calc'!A0,",
    "@SUM(1)",
    r"$\frac{$ $x^{$",
    r"^^5cinput{/etc/passwd}",
    r"\input{/etc/passwd}%",
    "%s %n {0.__class__} {x!r}",
]
PATHS = ["../../up", "/etc/passwd", "..\\..\\down", "C:\\up", "a/b", "CON", "x" * 10_000]
NAMES = [*MARKUP, *ESCAPES, *FORMULAS, *PATHS]


def simplenn(names: list[str] = NAMES) -> Any:
    """A chain of convolutions with these names, which are its classes as well."""
    rng = np.random.default_rng(0)
    layers = [
        Struct(type="conv", name=name, weights=[rng.standard_normal((1, 1, 2, 2)).astype(np.float32), []])
        for name in names[:-1]
    ]
    last = rng.standard_normal((1, 1, 2, len(names))).astype(np.float32)
    layers.append(Struct(type="conv", name=names[-1], weights=[last, []]))
    layers.append(Struct(type="softmaxloss", name="loss"))
    return pcn.vl_simplenn_tidy(
        pcn.SimpleNN(layers=layers, meta=Struct(inputSize=np.array([[3, 3, 2]]), classes=list(names), note=names[0]))
    )


def dagnn(names: list[str] = NAMES) -> Any:
    """The same as a graph, whose variables and parameters have such names, too."""
    net = pcn.DagNN()
    rng = np.random.default_rng(0)
    for i, name in enumerate(names):
        before, after = (names[i - 1] if i else "input"), name
        net.addLayer(name, pcn.dagnn.Conv(size=(1, 1, 2, 2), hasBias=False), before, after, f"{name}f")
        net.params[f"{name}f"].value = rng.standard_normal((1, 1, 2, 2)).astype(np.float32)
    net.meta = Struct(classes=Struct(name=list(names), description=list(names)), note=names[0])
    return net


def experiment(folder: Path, net: Any, names: list[str] = NAMES) -> Path:
    """An expDir with a checkpoint of the network and a training.json, both full of such names."""
    folder.mkdir(parents=True)
    epoch = Struct(num=1.0, time=1.0, objective=0.5, top1err=0.1)
    stats = Struct(train=StructArray([epoch]), val=StructArray([epoch]))
    pcn.save(folder / "net-epoch-1.mat", net, state=Struct(), stats=stats)
    few = names[:20]
    count = np.arange(len(few) ** 2).reshape(len(few), -1).tolist()
    notes = {
        "classes": few,
        "confusion": {name: count for name in few[:2]} | {few[2]: few[3]},
        "summary": {name: {"mean": 0.5, "deviation": 0.1} for name in few},
        "options": {name: name for name in few} | {"nested": {few[0]: [few[1]]}},
        "versions": {name: name for name in few},
        "folds": [{"images": 3, "accuracy": 0.5, few[0]: few[1]}],
    }
    (folder / "training.json").write_text(json.dumps(notes), encoding="utf-8")
    return folder
