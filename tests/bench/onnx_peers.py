"""Forward benchmarks in ONNX Runtime and OpenVINO, both from the same ONNX model, both with float32 arithmetic.

But for OpenVINO beside pyconvnet in bfloat16: then it computes so as well, as it does on CPUs that are made for it.
"""

from __future__ import annotations

import os

import networks
import numpy as np


def prepare(library, mode, layers, size, batch):
    """A function to time: one forward run; None for what these libraries do not do."""
    if mode not in ("forward", "bfloat16") or (library == "openvino" and networks.precision(layers) != np.float32):
        return None  # OpenVINO takes double precision, and computes in single: 9e-7 off
    model = _model(layers, size, batch)
    x = np.random.default_rng(1).standard_normal((batch, size[2], *size[:2]), dtype=networks.precision(layers))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if library == "onnxruntime":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = cores
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        return lambda: session.run(None, {"x": x})
    import openvino

    core = openvino.Core()
    # OpenVINO computes in bfloat16 on CPUs that have it unless told otherwise
    precision = "bf16" if mode == "bfloat16" else "f32"
    config = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": cores, "PERFORMANCE_HINT": "LATENCY"}
    compiled = core.compile_model(core.read_model(model, b""), "CPU", config)
    request = compiled.create_infer_request()
    return lambda: request.infer({0: x}, share_inputs=True)


def _model(layers, size, batch):
    from onnx import helper, numpy_helper

    nodes, constants, last = [], [], "x"

    def constant(values):
        constants.append(numpy_helper.from_array(np.ascontiguousarray(values), f"c{len(constants)}"))
        return constants[-1].name

    def node(kind, *more, **attributes):
        nonlocal last
        nodes.append(helper.make_node(kind, [last, *more], [f"y{len(nodes)}"], **attributes))
        last = nodes[-1].output[0]

    def write(layers):
        nonlocal last
        for kind, *rest in layers:
            if kind == "conv":
                f, b, stride, (t, bottom, left, r), groups, *dilate = rest
                weights, dilations = constant(f.transpose(3, 2, 0, 1)), networks.pair(dilate[0] if dilate else 1)
                more = {"dilations": dilations, "pads": [t, left, bottom, r], "group": groups}
                node("Conv", weights, constant(b), strides=networks.pair(stride), **more)
            elif kind == "pool":
                k, stride, (t, bottom, left, r), method = rest
                name = "MaxPool" if method == "max" else "AveragePool"
                node(name, kernel_shape=[k, k], strides=[stride] * 2, pads=[t, left, bottom, r])
            elif kind == "lrn":
                n, kappa, alpha, beta = rest
                node("LRN", size=n, bias=kappa, alpha=alpha * n, beta=beta)
            elif kind == "sum":
                start, ends = last, []
                for branch in rest:
                    last = start
                    write(branch)
                    ends.append(last)
                last = ends[0]
                node("Add", ends[1])
            elif kind == "bnorm":
                g, b, moments = rest
                node("BatchNormalization", *map(constant, (g, b, moments[:, 0], moments[:, 1] ** 2)))
            else:
                node(
                    {"relu": "Relu", "sigmoid": "Sigmoid", "softmax": "Softmax"}[kind],
                    **{"axis": 1} if kind == "softmax" else {},
                )

    write(layers)
    kind = helper.np_dtype_to_tensor_dtype(networks.precision(layers))
    x = helper.make_tensor_value_info("x", kind, [batch, size[2], *size[:2]])
    y = helper.make_tensor_value_info(last, kind, None)
    model = helper.make_model(helper.make_graph(nodes, "bench", [x], [y], constants))
    model.ir_version, model.opset_import[0].version = 8, 15
    return model.SerializeToString()
