"""All memory that the library keeps from call to call, and its bounds.

filters       packed or transformed for the kernels, at most a quarter of the machine's memory, or as many bytes as the
              environment variable PYCONVNET_FILTER_CACHE says; gone with the array that they were made of
memory        of results that are gone, and buffers of the kernels, for the next ones: at most 1/16 of the machine's
folded        multipliers and biases of batch normalization that runs in one with a convolution: 4,096 layers; gone with
              the moments that they were made of
schedules     of convolutions, for the last 256 sizes and 256 of derivatives: 8 bytes for each row of their images
looked up     parsed options, windows and sizes of calls: 1,024 of each kind, a few hundred bytes each
recordings    of networks in test mode: as much memory as a run takes, and the packed filters of that run; four for
              each network, gone with it; of training steps of up to 0.05 s: twice what such a step takes, two likewise
plans         how a network runs: one for each SimpleNN and DagNN, with it, and without arrays
"""

from __future__ import annotations


def clear_caches() -> None:
    """Release all memory kept from call to call: packed filters, memory and schedules of the kernels, folded
    normalizations, recorded runs.

    Nothing changes but the time of the next call. For the bounds that hold otherwise, see this module's help.
    """
    from pyconvnet import backends, geometry
    from pyconvnet.engine import fusion, recorded
    from pyconvnet.ops import checks

    recorded.clear()
    for backend in set(backends._found.values()) - {None}:
        backend.clear_caches()
    for known in (geometry._known_window, fusion._known_plan, checks.check_filters):
        known.cache_clear()
