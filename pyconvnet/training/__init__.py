"""cnn_train and cnn_train_dag: one epoch loop over two kinds of network."""

from pyconvnet.training.dag import cnn_train_dag
from pyconvnet.training.report import table as stats_table
from pyconvnet.training.simplenn import cnn_train

__all__ = ["cnn_train", "cnn_train_dag", "stats_table"]
