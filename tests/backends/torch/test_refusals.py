"""What PyTorch tensors may not be, PyTorch's own settings, and what happens without PyTorch or a GPU."""

import numpy as np
import pytest
import tensors
from support import python

import pyconvnet as pcn
from pyconvnet import backends, devices

torch = pytest.importorskip("torch")
X, F = torch.ones(4, 4, 2, 1), torch.ones(2, 2, 2, 3)


def test_pytorch_is_not_imported_before_a_tensor_is_met():
    done = python("import pyconvnet as pcn, numpy as np; pcn.vl_nnrelu(np.ones(3)); print('torch' in sys.modules)")
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (F.double(), "vl_nnconv: f is torch.float64 where the other arrays are torch.float32; all must be the same"),
        (F.numpy(), "vl_nnconv: f is an array of numpy where the other arrays are of torch on cpu; all must be"),
        (F.to("meta"), "vl_nnconv: f is on meta where the other arrays are on cpu; all must be the same"),
        (F.clone().requires_grad_(), r"vl_nnconv: f requires grad, and derivatives .* give its detach\(\)"),
        (torch.nn.Parameter(F), "vl_nnconv: f requires grad"),
        (F.half(), "vl_nnconv: f must be float32 or float64, got torch.float16: convert it first"),
        (F.to_sparse(), "vl_nnconv: f has the layout torch.sparse_coo: give its to_dense"),
    ],
    ids=str,
)
def test_tensors_that_do_not_fit_are_refused_by_name(f, message):
    with pytest.raises(TypeError, match=message):
        pcn.vl_nnconv(X, f, None)
    if f.__class__ is not np.ndarray and f.dtype == torch.float32:
        with pytest.raises(TypeError, match="vl_nnbnorm: g "):
            pcn.vl_nnbnorm(X, f[0, 0, :, 0], torch.ones(2)) if f.layout is torch.strided else pcn.vl_nnbnorm(X, f, X)


def test_numpy_weights_for_a_tensor_are_refused_with_the_layer():
    net = pcn.SimpleNN(layers=[pcn.Struct(type="conv", name="c1", weights=[F.numpy(), []], stride=1, pad=0)])
    with pytest.raises(TypeError, match=r"f is an array of numpy where .* of torch on cpu.* in layer 1 'c1' \(conv\)"):
        pcn.vl_simplenn(net, X)


def test_parameters_that_need_no_grad_are_tensors_like_others():
    f = torch.nn.Parameter(F, requires_grad=False)
    assert pcn.vl_nnconv(X, f, None).shape == (3, 3, 3, 1)


def test_lists_labels_and_empty_arrays_are_taken_as_with_numpy():
    x = torch.arange(6.0).reshape(1, 1, 3, 2)
    for labels in ([3, 1], np.array([3, 1]), torch.tensor([3, 1])):
        y = pcn.vl_nnloss(x, labels)
        assert y.shape == (1, 1, 1, 1)
        assert y.item() == pytest.approx(pcn.vl_nnloss(x.numpy(), [3, 1]).item(), rel=1e-6)
    one = F[..., :1]
    assert pcn.vl_nnconv(X, one, torch.tensor(2.0)).equal(pcn.vl_nnconv(X, one, torch.tensor([2.0])))
    assert pcn.vl_nnconv(X, F, []).shape == pcn.vl_nnconv(X, F, torch.zeros(0)).shape == (3, 3, 3, 1)


def test_results_of_inference_mode_run_too():
    with torch.inference_mode():
        x = torch.rand(4, 4, 2, 3)
        y, moments = pcn.vl_nnbnorm(x, torch.ones(2), torch.zeros(2))
    assert pcn.vl_nnbnorm(x, torch.ones(2), torch.zeros(2), y)[3].equal(moments)


# --- settings of PyTorch ----------------------------------------------------------------------------------------


def test_settings_of_pytorch_hold_inside_and_are_put_back(monkeypatch):
    from pyconvnet.backends.torch import settings

    class Place:
        allow_tf32 = "as the user has it"

    monkeypatch.setitem(settings._TABLE, ("cpu", "conv"), [(Place, "allow_tf32", "single", "tf32")])
    with pytest.raises(ZeroDivisionError), settings.exact(X, "conv"):
        assert Place.allow_tf32 == "single"
        raise ZeroDivisionError
    assert Place.allow_tf32 == "as the user has it"
    with pcn.autocast("tf32"), settings.exact(X, "conv"):
        assert Place.allow_tf32 == "tf32"
    assert Place.allow_tf32 == "as the user has it"


@pytest.mark.skipif(not hasattr(torch.backends.cudnn, "conv"), reason="PyTorch before 2.9 has other names for it")
def test_single_precision_is_that_whatever_the_user_set():
    from pyconvnet.backends.torch import settings

    ours = torch.backends.mkldnn.conv
    before, ours.fp32_precision = ours.fp32_precision, "bf16"
    try:
        with settings.exact(X, "conv"):
            assert ours.fp32_precision == "ieee"
        assert ours.fp32_precision == "bf16"
    finally:
        ours.fp32_precision = before


@pytest.mark.parametrize("kind", ["bfloat16", "float16"])
def test_autocast_computes_convolutions_in_half_precision(kind):
    rng = np.random.default_rng(0)
    x, f, dy = (torch.from_numpy(rng.standard_normal(s)).float() for s in ((6, 6, 16, 2), (3, 3, 16, 8), (4, 4, 8, 2)))
    exact = [pcn.vl_nnconv(x, f, None), *pcn.vl_nnconv(x, f, None, dy)[:2]]
    with pcn.autocast(kind):
        rough = [pcn.vl_nnconv(x, f, None), *pcn.vl_nnconv(x, f, None, dy)[:2]]
        double = pcn.vl_nnconv(x.double(), f.double(), None)
    for a, b in zip(exact, rough):
        gap = (a - b).abs().max() / a.abs().max()
        assert b.dtype == torch.float32 and 1e-5 < gap < 2e-2
    assert double.sub(exact[0]).abs().max() < 1e-4
    assert pcn.vl_nnconv(x, f, None).equal(exact[0])


def test_names_that_are_none_are_refused():
    with (
        pytest.raises(ValueError, match=r"^autocast: kind must be one of 'tf32', .*, got 'int8'$"),
        pcn.autocast("int8"),
    ):
        pass
    with pytest.raises(TypeError, match=r"^set_deterministic: deterministic must be True or False, got 'no'$"):
        pcn.set_deterministic("no")


# --- devices ----------------------------------------------------------------------------------------------------


def test_arrays_go_to_a_device_and_back():
    a = np.random.default_rng(0).standard_normal((3, 4, 5, 2)).astype(np.float32)
    x = pcn.gpuArray(a, "torch:cpu")
    assert type(x) is torch.Tensor and x.dtype == torch.float32
    assert x.permute(3, 2, 0, 1).is_contiguous(memory_format=torch.channels_last)
    x[0, 0, 0, 0] = 100
    back = pcn.gather(x)
    assert isinstance(back, np.ndarray) and back[0, 0, 0, 0] == 100 != a[0, 0, 0, 0]
    x[0, 0, 0, 0] = 200
    assert back[0, 0, 0, 0] == 100
    assert pcn.gather(a) is a and pcn.gather(3) == 3 and pcn.gpuArray(a, "cpu") is a
    assert pcn.gpuArray([1, 2], "torch").tolist() == [1, 2]
    assert pcn.gpuArray(np.arange(3, dtype=">f4")[::-1], "torch").tolist() == [2, 1, 0]
    with pytest.raises(TypeError, match=r"^gpuArray: x must be an array of numbers, got str"):
        pcn.gpuArray("text", "torch")


@pytest.mark.parametrize("name", ["gpux", "cuda:x", 0, None, "torch:cuda"])
def test_what_is_no_device_is_refused(name):
    with pytest.raises(ValueError, match=r"^gpuArray: the device must be 'cpu', 'gpu', 'cuda:0' .*, got "):
        pcn.gpuArray(np.ones(2), name)


def with_gpus(monkeypatch, *names):
    from pyconvnet.backends.torch import places

    monkeypatch.setattr(places, "accelerators", lambda: list(names))


def test_devices_that_are_not_there_are_refused_with_those_that_are(monkeypatch):
    with_gpus(monkeypatch)
    with pytest.raises(ValueError, match=r"no device 'gpu' here; there is no GPU that PyTorch can use \(2"):
        pcn.gpuArray(np.ones(2))
    with_gpus(monkeypatch, "cuda:0", "cuda:1")
    assert devices.full_name("f", "gpu") == devices.full_name("f", "CUDA") == "cuda:0"
    with pytest.raises(ValueError, match=r"f: there is no device 'cuda:2' here; there is cuda:0, cuda:1, beside 'cpu'"):
        devices.full_name("f", "cuda:2")
    with pytest.raises(ValueError, match=r"no device 'mps' here"):
        devices.full_name("f", "mps")


def test_gpus_count_from_0(monkeypatch):
    with_gpus(monkeypatch, "cuda:0")
    assert devices.of_gpus("f", [0]) == devices.of_gpus("f", 0) == devices.of_gpus("f", np.array([[0.0]])) == "cuda:0"
    assert devices.of_gpus("f", []) is devices.of_gpus("f", None) is None
    assert devices.of_gpus("f", "torch:cpu") == "torch:cpu"
    with pytest.raises(ValueError, match=r"^f: gpus=\[1\]: there is one GPU here; GPUs count from 0: gpus=\[0\]$"):
        devices.of_gpus("f", [1])
    with pytest.raises(ValueError, match=r"^f: gpus must be whole numbers from 0 up, or the name of a device, got "):
        devices.of_gpus("f", [-1])
    with_gpus(monkeypatch)
    with pytest.raises(ValueError, match=r"there is no GPU that PyTorch can use here; leave it empty to use the CPU$"):
        devices.of_gpus("f", [0])


def test_without_pytorch_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr(devices, "find_spec", lambda name: None)
    for name in ("gpu", "torch"):
        with pytest.raises(
            ImportError, match=rf"^gpuArray: the device '{name}' needs PyTorch: pip install 'pyconvnet\["
        ):
            pcn.gpuArray(np.ones(2), name)
    with pytest.raises(ImportError, match=r"^cnn_train: the device 'gpus=\[0\]' needs PyTorch"):
        devices.of_gpus("cnn_train", [0])


def test_double_precision_does_not_go_to_apples_gpus():
    from pyconvnet.backends.torch import places

    with pytest.raises(TypeError, match="mps has no double precision; convert to float32 first"):
        places.sent(np.ones(2), torch.device("mps"))


def test_the_backend_is_found_for_derived_types():
    assert backends.of(torch.nn.Parameter(F)) is backends.of(X)
    assert tensors.placed("text", "torch:cpu") == "text"
