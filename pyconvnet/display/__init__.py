"""Tables of networks: a summary of each layer, then rows of text, then ascii, LaTeX, CSV or the classic layout."""

from __future__ import annotations

from typing import Any

from pyconvnet.display.classic import classic_table
from pyconvnet.display.data import as_dict
from pyconvnet.display.notebook import graph_html_table, html_table, short_repr
from pyconvnet.display.rows import layer_rows, total_rows
from pyconvnet.display.summary import FN, summarize
from pyconvnet.options import matlab_options
from pyconvnet.records import Struct
from pyconvnet.table import render

__all__ = ["as_dict", "graph_html_table", "html_table", "short_repr", "vl_simplenn_display"]


@matlab_options()
def vl_simplenn_display(
    net: Any,
    *,
    inputSize: Any = None,
    batchSize: Any = None,
    maxNumColumns: int = 18,
    format: str = "ascii",
    style: str | None = None,
) -> tuple[Struct, str]:
    """The table of a network's layers, and the numbers in it.

    vl_simplenn_display(net) -> (info, text)              net: a SimpleNN, or any record with `layers`

    text  the table that MatConvNet prints: for every layer its type, window, receptive field in the input image
          (size, offset of the first one's centre counted from 1, stride; in pixels), output size and memory,
          in single precision
    info  the numbers in it: support, stride, receptiveFieldSize, receptiveFieldOffset, receptiveFieldStride
          (2 x layers: vertical, horizontal), pad (4 x layers: top, bottom, left, right),
          dataSize (4 x layers + 1: H, W, C, N, the input first)

    inputSize      (H, W, C, N), the last ones may be left out; else net.meta.inputSize, or
                   net.meta.normalization.imageSize; else unknown, and sizes are NaN
    batchSize      images in a batch, instead of the N in inputSize
    maxNumColumns  18; wider tables are cut into pieces of so many layers
    format         "ascii", "latex" or "csv"
    style          None, or "classic": the table of v1.0-beta7, always plain text in one piece

    Layers whose type is not known are shown by its name, as one pixel wide. So does MatConvNet's table show transposed
    convolutions, which have their true size here.

    Raises TypeError for what is not a SimpleNN, ValueError for an unknown option or one that does not fit.
    Source: MatConvNet, vl_simplenn_display.

    >>> import pyconvnet as pcn
    >>> info, text = pcn.vl_simplenn_display(pcn.models.build("vgg-vd-16", init=False), batchSize=32)
    >>> int(info.receptiveFieldSize[0, -1])
    404
    """
    if style is not None and not (isinstance(style, str) and style == "classic"):
        raise ValueError(f"{FN}: style must be None or 'classic', got {style!r}")
    if style == "classic" and format != "ascii":
        raise ValueError(f"{FN}: style 'classic' is plain text, it has no format {format!r}")
    if not isinstance(net, dict) or "layers" not in net:
        raise TypeError(f"{FN}: net must be a SimpleNN (a record with 'layers'), got {type(net).__name__}")
    summary = summarize(net, inputSize, batchSize)
    if style == "classic":
        return summary.info(), classic_table(summary)
    text = render(layer_rows(summary), format, maxNumColumns, FN) + render(total_rows(summary), format, fn=FN)
    return summary.info(), text
