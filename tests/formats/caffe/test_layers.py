"""Each layer of Caffe gives what torch's function of the same definition gives: torch took Caffe's windows over."""

import numpy as np
import pytest
from caffe_files import caffemodel

import pyconvnet as pcn

torch = pytest.importorskip("torch")
F = torch.nn.functional
RNG = np.random.default_rng(0)


def w(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def layer(kind, options="", bottom="data", top="out", name="layer"):
    bottoms = " ".join(f'bottom: "{b}"' for b in bottom.split())
    return f'layer {{ name: "{name}" type: "{kind}" {bottoms} top: "{top}" {options} }}\n'


def tensors(*arrays):
    return [torch.from_numpy(a) for a in arrays]


CASES = {}


def case(text, function, size=(13, 11, 4), **weights):
    CASES[f"{len(CASES)} {text.split('type: ')[1].split()[0]}"] = text, function, size, weights


def conv_cases():
    for options, settings, shape in [
        ("kernel_size: 3 pad: 1 stride: 2", {"padding": 1, "stride": 2}, (6, 4, 3, 3)),
        ("kernel_size: 3 kernel_size: 5 pad: 1 pad: 2", {"padding": (1, 2)}, (6, 4, 3, 5)),
        (
            "kernel_h: 1 kernel_w: 4 stride_h: 1 stride_w: 3 pad_w: 3",
            {"padding": (0, 3), "stride": (1, 3)},
            (6, 4, 1, 4),
        ),
        ("kernel_size: 3 dilation: 2 group: 2", {"dilation": 2, "groups": 2}, (6, 2, 3, 3)),
        ("kernel_size: 3 group: 4 bias_term: false", {"groups": 4}, (4, 1, 3, 3)),
    ]:
        f, b = w(*shape), None if "bias_term" in options else w(shape[0])
        text = layer("Convolution", f"convolution_param {{ num_output: {shape[0]} {options} }}")
        arrays = [f] if b is None else [f, b]
        case(text, lambda x, a=arrays, s=settings: F.conv2d(x, *tensors(*a), **s), layer=arrays)
    for options, settings, shape in [
        ("kernel_size: 4 stride: 2 pad: 1", {"padding": 1, "stride": 2}, (4, 6, 4, 4)),
        ("kernel_size: 3 kernel_size: 5 stride: 3 group: 2", {"stride": 3, "groups": 2}, (4, 3, 3, 5)),
    ]:
        arrays = [w(*shape), w(6)]
        text = layer("Deconvolution", f"convolution_param {{ num_output: 6 {options} }}")
        case(text, lambda x, a=arrays, s=settings: F.conv_transpose2d(x, *tensors(*a), **s), layer=arrays)


def pooling_cases():
    for kernel, stride, pad in [
        (2, 2, 0),
        (3, 2, 0),
        (3, 2, 1),
        (3, 3, 1),
        (5, 4, 2),
        (3, 1, 1),
        ((3, 2), (2, 1), (1, 0)),
    ]:
        for size in [(13, 11, 4), (12, 14, 4), (7, 8, 4)]:
            values = zip(("kernel", "stride", "pad"), (kernel, stride, pad))
            options = " ".join(
                f"{n}_h: {v[0]} {n}_w: {v[1]}" if isinstance(v, tuple) else f"{n.replace('kernel', 'kernel_size')}: {v}"
                for n, v in values
            )
            for method, function in (("MAX", F.max_pool2d), ("AVE", F.avg_pool2d)):
                case(
                    layer("Pooling", f"pooling_param {{ pool: {method} {options} }}"),
                    lambda x, f=function, k=kernel, s=stride, p=pad: f(x, k, s, p, ceil_mode=True),
                    size,
                )
    case(
        layer("Pooling", "pooling_param { pool: AVE global_pooling: true }"), lambda x: x.mean(dim=(2, 3), keepdim=True)
    )
    text = layer("Pooling", "pooling_param { kernel_size: 3 stride: 2 round_mode: FLOOR }")
    case(text, lambda x: F.max_pool2d(x, 3, 2), (12, 14, 4))


def normalization(x, mean, variance, weight, g=None, h=None, eps=1e-5):
    mean, variance, *gh = tensors(mean / weight, variance / weight, *(() if g is None else (g, h)))
    return F.batch_norm(x, mean, variance, *gh, eps=eps)


def other_cases():
    case(
        layer("LRN", "lrn_param { local_size: 3 alpha: 0.5 beta: 0.6 k: 2 }"),
        lambda x: F.local_response_norm(x, 3, 0.5, 0.6, 2),
    )
    case(layer("ReLU", "relu_param { negative_slope: 0.2 }"), lambda x: F.leaky_relu(x, 0.2))
    case(layer("ReLU"), F.relu)
    case(layer("TanH"), torch.tanh)
    case(layer("Sigmoid"), torch.sigmoid)
    case(layer("ELU", "elu_param { alpha: 0.5 }"), lambda x: F.elu(x, 0.5))
    case(layer("Softmax"), lambda x: F.softmax(x, 1))
    case(layer("Dropout"), lambda x: x)
    case(layer("Power", "power_param { scale: 0.5 shift: -1 }"), lambda x: x * 0.5 - 1)
    moments = [w(4), abs(w(4)), np.array([2.5], np.float32)]
    gh = [w(4), w(4)]
    norm = layer("BatchNorm", "batch_norm_param { eps: 0.01 }", top="norm", name="norm")
    scale = "scale_param { bias_term: true }"
    case(norm, lambda x: normalization(x, *moments, eps=0.01), norm=moments)
    both = {"norm": moments, "layer": gh}
    case(norm + layer("Scale", scale, "norm"), lambda x: normalization(x, *moments, *gh, eps=0.01), **both)
    # another layer reads what the normalization gives before it is scaled
    branches = norm + layer("Scale", scale, "norm", "scaled") + layer("Concat", "", "norm scaled", name="both")
    case(
        branches,
        lambda x: torch.cat([normalization(x, *moments, *a, eps=0.01) for a in ((), gh)], 1),
        **both,
    )
    image = w(4, 13, 11)
    case(layer("Scale", "scale_param { num_axes: 3 }"), lambda x: x * torch.from_numpy(image), layer=[image])
    columns = w(11)
    case(layer("Scale", "scale_param { axis: 3 }"), lambda x: x * torch.from_numpy(columns), layer=[columns])
    case(layer("Bias"), lambda x: x + torch.from_numpy(gh[0])[:, None, None], layer=gh[:1])
    relu = layer("ReLU", top="relu", name="relu")
    sigmoid = layer("Sigmoid", top="sigmoid", name="sigmoid")
    case(relu + layer("Eltwise", "", "data relu"), lambda x: x + F.relu(x))
    difference = layer("Eltwise", "eltwise_param { operation: SUM coeff: 1 coeff: -0.5 }", "data relu")
    case(relu + difference, lambda x: x - 0.5 * F.relu(x))
    product = layer("Eltwise", "eltwise_param { operation: PROD }", "data relu sigmoid")
    case(relu + sigmoid + product, lambda x: x * F.relu(x) * torch.sigmoid(x))
    gate = layer("Pooling", "pooling_param { pool: AVE global_pooling: true }", top="gate", name="gate")
    case(gate + layer("Scale", "scale_param { axis: 0 }", "data gate"), lambda x: x * x.mean(dim=(2, 3), keepdim=True))
    case(relu + layer("Concat", "concat_param { axis: 2 }", "data relu"), lambda x: torch.cat([x, F.relu(x)], 2))


def full_connections():
    f, b = w(7, 13 * 11 * 4), w(7)
    given = tensors(f, b)
    options = "inner_product_param { num_output: 7 %s }"
    case(layer("InnerProduct", options % ""), lambda x: F.linear(x.flatten(1), *given), layer=[f, b])
    turned = [np.ascontiguousarray(f.T), b]
    case(layer("InnerProduct", options % "transpose: true"), lambda x: F.linear(x.flatten(1), *given), layer=turned)
    vector = layer("Flatten", top="vector", name="flatten") + layer("ReLU", bottom="vector", top="vector", name="relu")
    text = vector + layer("InnerProduct", options % "bias_term: false", "vector")
    case(text, lambda x: F.linear(F.relu(x.flatten(1)), given[0]), layer=[f])


conv_cases()
pooling_cases()
other_cases()
full_connections()


def files(folder, text, size, weights):
    h, w, c = size
    head = f'input: "data" input_shape {{ dim: 1 dim: {c} dim: {h} dim: {w} }}\n'
    (folder / "net.prototxt").write_text(head + text)
    (folder / "net.caffemodel").write_bytes(caffemodel(weights or {"another": [np.ones(1)]}))
    return folder / "net.prototxt", folder / "net.caffemodel"


@pytest.mark.parametrize("name", CASES)
def test_a_layer_gives_what_torch_gives(name, tmp_path):
    text, function, size, weights = CASES[name]
    net = pcn.from_caffe(*files(tmp_path, text, size, weights))
    x = w(*size, 2)
    with pcn.local_precision("high"):
        y = pcn.predict(net, x)
    expected = function(torch.from_numpy(np.ascontiguousarray(x.transpose(3, 2, 0, 1)))).numpy()
    expected = (expected[:, :, None, None] if expected.ndim == 2 else expected).transpose(2, 3, 1, 0)
    assert y.shape == expected.shape
    assert np.abs(y - expected).max() <= 2e-5 * np.abs(expected).max()


@pytest.mark.parametrize("h", [9, 10, 11, 12])
def test_pooling_has_caffes_size_for_images_of_every_size(tmp_path, h):
    text = layer("Pooling", "pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 }")
    net = pcn.from_caffe(*files(tmp_path, text, (21, 21, 1), {}))
    x = w(h, h + 3, 1, 1)
    expected = F.avg_pool2d(torch.from_numpy(x[:, :, 0, 0])[None], 3, 2, 1, ceil_mode=True)[0].numpy()
    y = pcn.predict(net, x)[:, :, 0, 0]
    assert y.shape == expected.shape
    assert np.allclose(y, expected, atol=1e-6)
