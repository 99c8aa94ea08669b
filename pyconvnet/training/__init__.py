"""cnn_train and cnn_train_dag: one epoch loop over two kinds of network."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyconvnet.training.dag import cnn_train_dag
    from pyconvnet.training.simplenn import cnn_train
    from pyconvnet.training.statistics import stats_table

__all__ = ["cnn_train", "cnn_train_dag", "stats_table"]
_HOMES = {"cnn_train": "simplenn", "cnn_train_dag": "dag", "stats_table": "statistics"}


def __getattr__(name: str) -> Any:
    """The functions above, imported when first used: plots take statistics from here without the two loops."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
