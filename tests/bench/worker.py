"""A process of one library: reads orders from its standard input, a line of JSON each, and answers with one."""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import resource
import sys
from pathlib import Path
from time import perf_counter

FOLDER = Path(__file__).parent
PEERS = {
    "pyconvnet": ("pyconvnet_peer", ()),
    "torch eager": ("torch_peer", ("eager",)),
    "torch channels_last": ("torch_peer", ("channels_last",)),
    "torch compiled": ("torch_peer", ("compiled",)),
    "onnxruntime": ("onnx_peers", ("onnxruntime",)),
    "openvino": ("onnx_peers", ("openvino",)),
}
LIMITS = {"multiply": ("limits", ("multiply",)), "read": ("limits", ("read",))}
NEEDS = {"torch_peer": ["torch"], "onnxruntime": ["onnxruntime", "onnx"], "openvino": ["openvino", "onnx"]}


def installed(peer: str) -> bool:
    """Whether the libraries for it can be imported."""
    module, arguments = PEERS[peer]
    needs = NEEDS.get(module) or NEEDS.get(arguments[0] if arguments else "", [])
    return all(importlib.util.find_spec(name) is not None for name in needs)


def peak() -> float:
    """Most memory of this process so far, in MB; that of getrusage counts its parent's too."""
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
    except OSError:  # not Linux
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def forget_peak() -> None:
    """Let `peak` count anew, from what this process has now."""
    with contextlib.suppress(OSError):  # not Linux, or not allowed
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def main(peer: str) -> None:
    sys.path[:0] = [str(FOLDER), str(FOLDER.parents[1])]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print goes elsewhere
    import benchmarks
    import startup

    module, arguments = (PEERS | LIMITS)[peer]
    prepare = importlib.import_module(module).prepare
    run = None
    for line in sys.stdin:
        order = json.loads(line)
        try:
            if "drop" in order:
                run, answer = None, {}
                gc.collect()
            elif "prepare" in order:
                forget_peak()
                benchmark = benchmarks.ALL[order["prepare"]]
                start = perf_counter()
                if benchmark.mode in startup.TARGETS:
                    run = startup.prepare(peer, module, arguments, benchmark.mode)
                else:
                    mode = benchmark.mode
                    if mode in benchmarks.FORWARD and peer != "pyconvnet":
                        # which is what the others do; OpenVINO has bfloat16 too
                        mode = "bfloat16" if (mode, peer) == ("bfloat16", "openvino") else "forward"
                    run = prepare(*arguments, mode, *benchmark.build(), benchmark.batch)
                answer = {"first": None}
                if run is not None:
                    run()
                    answer = {"first": perf_counter() - start}
            else:
                start = perf_counter()
                for _ in range(order["repeat"]):
                    run()
                answer = {"seconds": (perf_counter() - start) / order["repeat"]}
                answer["peak_mb"] = peak()
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
