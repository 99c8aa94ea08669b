"""Views: images side by side, plots, measures, and the inside of a trained network.

>>> from pyconvnet import models, view
>>> axes = view.filters(models.build("lenet", seed=0), "layer1")

Modules load when a name of theirs is used, matplotlib when something is drawn.
"""

from importlib import import_module
from typing import Any

from pyconvnet.view.imarray import vl_imarray, vl_imarraysc

_HOME = {
    "inside": [
        "add_gradient",
        "class_gradient",
        "diagnosis",
        "filters",
        "histograms",
        "occlusion_map",
        "responses",
        "scores",
        "statistics",
        "statistics_text",
    ],
    "maxima": [
        "image_coordinates",
        "peaks",
    ],
    "measures": [
        "confusion_matrix",
        "confusion_text",
        "names_of",
        "normalised",
        "precision_recall",
        "roc",
    ],
    "plots": [
        "check_format",
        "confusion",
        "figure",
        "picture",
        "roc_curve",
        "save",
        "text_curve",
        "text_plot",
        "training_curves",
        "training_text",
    ],
    "curves": ["curve", "nonlinearities"],
}
_WHERE = {name: module for module, names in _HOME.items() for name in names}
__all__ = ["vl_imarray", "vl_imarraysc"]
__all__ += [*_HOME, *_WHERE]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return import_module(f"{__name__}.{name}")
    if name in _WHERE:
        return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
