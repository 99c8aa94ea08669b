"""Every registered layer of the library: defaults, properties, sizes, derivatives, label."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet import rng
from pyconvnet.layers import registry

random = np.random.default_rng(5)


def normal(*shape: int) -> np.ndarray:
    return random.standard_normal(shape)


def away_from_zero(*shape: int) -> np.ndarray:
    """Where a rectifier has a derivative."""
    return random.uniform(0.1, 1, shape) * random.choice([-1, 1], shape)


def distinct(*shape: int) -> np.ndarray:
    """Every maximum has a derivative."""
    return random.permutation(int(np.prod(shape))).reshape(shape) / 10


@dataclass
class Sample:
    """What to run a layer on: its properties, its inputs, and positions of the inputs that have no derivative.

    parameters  first values of the parameters; left out, those of initParams
    record      for a class that is not a block: the SimpleNN record that it runs as
    """

    inputs: list[np.ndarray]
    properties: dict[str, Any] = field(default_factory=dict)
    fixed: tuple[int, ...] = ()
    parameters: list[np.ndarray] | None = None
    record: dict[str, Any] | None = None


def double(layer, before, after):
    after.x = 2 * before.x


def double_back(layer, before, after):
    before.dzdx = 2 * after.dzdx


@pytest.fixture(autouse=True)
def _exact_powers():
    """LRN's power as MatConvNet's CPU code has it is not smooth."""
    pcn.set_precision("high")
    yield
    pcn.set_precision("fast")


LABELS = np.array([[[[1.0]], [[3.0]]], [[[2.0]], [[1.0]]]])  # 2 x 2 x 1 x 1
REGIONS = np.array([[1.0, 1, 1, 5, 6], [1, 2, 1, 6, 4], [2, 1, 2, 4, 6]]).T.reshape(1, 1, 5, 3)
SAMPLES: dict[str, list[Sample]] = {
    "AffineGridGenerator": [Sample([normal(1, 1, 6, 2)], {"Ho": 3, "Wo": 4})],
    "BatchNorm": [Sample([normal(3, 4, 2, 5)], {"numChannels": 2, "epsilon": 1e-3})],
    "BilinearSampler": [Sample([normal(5, 6, 2, 2), random.uniform(-0.9, 0.9, (2, 3, 4, 2))])],
    "Clip": [Sample([normal(3, 4, 2, 2)], {"min": -0.5, "max": 0.75})],
    "Concat": [
        Sample([normal(3, 4, 2, 2), normal(3, 4, 1, 2)]),
        Sample([normal(3, 4, 2, 2), normal(1, 4, 2, 2)], {"dim": 1}),
    ],
    "Conv": [
        Sample([normal(7, 6, 4, 2)], {"size": [3, 2, 2, 6], "stride": [2, 1], "pad": [1, 0, 2, 1], "dilate": [1, 2]}),
        Sample([normal(3, 4, 2, 2)], {"size": [3, 4, 2, 5], "hasBias": False}),
    ],
    "ConvTranspose": [
        Sample([normal(3, 4, 4, 2)], {"size": [3, 4, 2, 4], "upsample": [2, 3], "crop": [1, 0, 1, 2], "numGroups": 2}),
        Sample([normal(3, 4, 3, 2)], {"size": [2, 2, 2, 3], "hasBias": False}),
    ],
    "Crop": [Sample([normal(6, 7, 2, 2), normal(4, 3, 1, 2)], {"crop": (1, 2)}, fixed=(1,))],
    "Custom": [
        Sample(
            [normal(3, 4, 2, 2)],
            record={
                "type": "custom",
                "forward": double,
                "backward": double_back,
                "getForwardSize": lambda layer, size: size,
            },
        )
    ],
    "DropOut": [Sample([normal(4, 3, 5, 2)], {"rate": 0.3})],
    "ELU": [Sample([away_from_zero(3, 4, 2, 2)], {"alpha": 0.5})],
    "EuclideanLoss": [
        Sample([normal(2, 3, 4, 2), normal(2, 3, 4, 2)], fixed=(1,)),
        Sample([normal(1, 1, 4, 2), normal(4, 2), normal(1, 1, 4, 2)], {"opts": ("normalise", False)}, fixed=(1, 2)),
    ],
    "HardSigmoid": [Sample([2 * normal(3, 4, 2, 2)], {"alpha": 0.3, "beta": 0.4})],
    "LRN": [Sample([normal(3, 4, 6, 2)], {"param": (3, 1, 0.5, 0.75)})],
    # one image: getOutputSizes says 1 x 1 x 1 x N, as in MATLAB, of what is one number
    "Loss": [
        Sample([normal(2, 2, 3, 1), LABELS], fixed=(1,)),
        Sample([normal(2, 2, 3, 1), LABELS], {"loss": "mhinge", "normalise": False}, fixed=(1,)),
    ],
    "LossSmoothL1": [
        Sample([normal(2, 3, 6, 1), normal(2, 3, 6, 1), normal(2, 3, 6, 1) ** 2], {"sigma": 1.5}, fixed=(1, 2)),
        Sample([normal(2, 3, 6, 2), normal(2, 3, 6, 2)], fixed=(1,)),
    ],
    "NoiseMap": [
        Sample([normal(3, 4, 2, 2)], {"sigma": 0.1}),
        Sample([normal(3, 4, 2, 3)], {"sigma": ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))}),
        Sample([normal(3, 4, 2, 3), normal(1, 1, 2, 3)]),
        Sample([normal(3, 4, 2, 2), normal(3, 4, 1, 1)]),
        Sample([normal(3, 4, 2, 3), normal(2, 1)]),
    ],
    "NormOffset": [Sample([normal(3, 4, 2, 2)], {"param": (0.5, 0.25)})],
    "PDist": [
        Sample([normal(2, 3, 4, 1), normal(2, 3, 4, 1)]),
        Sample([normal(1, 1, 4, 3), normal(1, 1, 4, 3)], {"p": 3, "aggregate": False, "noRoot": True}),
    ],
    "PReLU": [
        Sample([away_from_zero(3, 4, 2, 2)], {"size": (1, 1, 2)}),
        Sample([away_from_zero(3, 4, 2, 2)], {"size": (3, 4, 2)}),
    ],
    "Permute": [Sample([normal(3, 4, 2, 2)], {"order": (3, 1, 2)})],
    "Pooling": [
        Sample([distinct(7, 6, 2, 2)], {"poolSize": [3, 2], "stride": [2, 1], "pad": [1, 1, 0, 1]}),
        Sample([normal(7, 6, 2, 2)], {"poolSize": [2, 3], "stride": 2, "method": "avg"}),
    ],
    "ROIPooling": [
        Sample([distinct(6, 7, 2, 2), REGIONS], {"subdivisions": (2, 3)}, fixed=(1,)),
        Sample([normal(6, 7, 2, 2), REGIONS], {"method": "avg", "flatten": True}, fixed=(1,)),
    ],
    "ReLU": [
        Sample([away_from_zero(3, 4, 2, 2)]),
        Sample([away_from_zero(3, 4, 2, 2)], {"leak": -0.5, "useShortCircuit": False}),
    ],
    "Scale": [
        Sample([normal(3, 4, 2, 2)], {"size": [1, 1, 2]}),
        Sample([normal(3, 4, 2, 2), normal(1, 1, 2, 2)], {"hasBias": False}, parameters=[]),
    ],
    "SegmentationAccuracy": [Sample([normal(2, 2, 3, 1), LABELS], fixed=(0, 1))],
    "SegmentationLoss": [Sample([normal(2, 2, 3, 1), LABELS], {"loss": "mshinge"}, fixed=(1,))],
    "Sigmoid": [Sample([normal(3, 4, 2, 2)])],
    "Reshape": [Sample([normal(3, 4, 2, 2)], {"size": (2, 1, 12)})],
    "SoftMax": [Sample([normal(3, 4, 5, 2)])],
    "SoftPlus": [Sample([normal(3, 4, 2, 2)])],
    "SpatialNorm": [Sample([normal(4, 5, 2, 2)], {"param": (3, 2, 0.5, 0.75)})],
    "SubP": [Sample([normal(3, 4, 8, 2)]), Sample([normal(6, 9, 2, 2)], {"scale": 1 / 3})],
    "Sum": [Sample([normal(3, 4, 2, 2), normal(3, 4, 2, 2), normal(3, 4, 2, 2)])],
    "Swish": [Sample([normal(3, 4, 2, 2)], {"beta": 1.5})],
    "Tanh": [Sample([normal(3, 4, 2, 2)])],
    "UniformScalingGridGenerator": [Sample([normal(1, 1, 3, 2)], {"Ho": 4, "Wo": 3})],
}

LAYERS = {c.__name__: c for c in registry.registered() if c.__module__.startswith("pyconvnet.")}
CASES = [pytest.param(name, s, id=f"{name}-{i}") for name in LAYERS for i, s in enumerate(SAMPLES.get(name, []))]
Results = tuple[np.ndarray, list[np.ndarray | None], list[np.ndarray | None]]


def parameters(cls: type, sample: Sample) -> list[np.ndarray]:
    given = sample.parameters
    values = cls(**sample.properties).initParams() if given is None else given
    return [v + 0.5 * random.uniform(size=v.shape) for v in values]


def run(cls: type, sample: Sample, inputs: list[np.ndarray], params: list[np.ndarray], d: Any = None) -> Results:
    """(output, derivatives of the inputs, derivatives of the parameters), through a network."""
    rng.seed(3)
    if not cls._block:
        net = pcn.vl_simplenn_tidy(pcn.SimpleNN(layers=[dict(sample.record)]))
        first, last = pcn.vl_simplenn(net, inputs[0], d)
        return last.x, [first.dzdx], []
    net = pcn.DagNN()
    x = [f"x{i}" for i in range(len(inputs))]
    p = [f"p{i}" for i in range(len(params))]
    net.addLayer("layer", cls(**sample.properties), x, "y", p)
    for name, value in zip(p, params):
        net.params[name].value = value
    for var in net.vars:
        var.precious = True
    net.eval(dict(zip(x, inputs)), None if d is None else {"y": d})
    return net.vars["y"].value, [net.vars[n].der for n in x], [net.params[n].der for n in p]


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_every_layer_has_samples(name):
    assert SAMPLES.get(name), (
        f"{name} has no samples: add an entry {name!r} to SAMPLES in {__file__}, a list of Sample(inputs, properties), "
        "with inputs that the layer runs on in double precision and properties other than its defaults"
    )
    tried = {key for sample in SAMPLES[name] for key in sample.properties}
    assert tried <= set(LAYERS[name]._fields)


def test_no_samples_are_left_of_layers_that_are_gone():
    assert set(SAMPLES) <= set(LAYERS)


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_it_is_made_with_its_defaults_and_has_a_label(name):
    cls = LAYERS[name]
    layer = cls()
    assert set(layer.save()) == set(cls._fields) - set(cls.transient)
    own = vars(cls).get("simplenn", ())
    for type_name in (own,) if isinstance(own, str) else own:
        assert registry.layer_class(type_name) is cls
        for classic in (False, True):
            label = layer.table_label(type_name, classic)
            assert isinstance(label, str) and label
    assert not cls._block or registry.block_class(f"dagnn.{name}") is cls
    assert isinstance(layer.table_label("type"), str)


@pytest.mark.parametrize("name, sample", CASES)
def test_properties_come_back_as_they_were_saved(name, sample):
    cls = LAYERS[name]
    layer, again = cls(**sample.properties), cls()
    again.load(layer.save())
    assert again.save() == layer.save() and repr(again) == repr(layer)
    for key in sample.properties:
        assert getattr(again, key) == getattr(layer, key)
        assert key in cls.transient or getattr(cls(), key) != getattr(layer, key), f"{key} is the default"


@pytest.mark.parametrize("name, sample", CASES)
def test_the_output_has_the_size_that_it_says_and_derivatives_those_of_what_they_are_of(name, sample):
    cls = LAYERS[name]
    params = parameters(cls, sample)
    y, _, _ = run(cls, sample, sample.inputs, params)
    d = np.ones_like(y)
    y, inputs, ders = run(cls, sample, sample.inputs, params, d)
    layer = cls(**sample.properties)
    sizes = [four(x.shape) for x in sample.inputs]
    said = layer.getOutputSizes(sizes) if cls._block else [layer.table_size(sizes[0], sample.record)]
    assert said == [four(np.shape(y))]
    for i, (x, dx) in enumerate(zip(sample.inputs, inputs)):
        assert dx is None if i in sample.fixed else dx.shape == x.shape
    assert [p.shape for p in params] == [dp.shape for dp in ders]


@pytest.mark.parametrize("name, sample", [c for c in CASES if not issubclass(LAYERS[c.values[0]], pcn.dagnn.Loss)])
def test_of_no_images_a_network_predicts_an_output_of_none(name, sample):
    cls = LAYERS[name]
    inputs = [np.zeros((*x.shape[:-1], 0)) for x in sample.inputs]
    properties = {**sample.properties, **({"sigma": (0.1, 0.4)} if name == "NoiseMap" and len(inputs) == 1 else {})}
    if cls._block:
        params = parameters(cls, sample)
        net, given = pcn.DagNN(), {f"x{i}": x for i, x in enumerate(inputs)}
        net.addLayer("layer", cls(**properties), list(given), "y", [f"p{i}" for i in range(len(params))])
        for param, value in zip(net.params, params):
            param.value = value
        (size,) = cls(**properties).getOutputSizes([x.shape for x in inputs])
    else:
        net, given = pcn.vl_simplenn_tidy(pcn.SimpleNN(layers=[dict(sample.record)])), inputs[0]
        size = cls().table_size(inputs[0].shape, sample.record)
    for _ in range(4):  # the third call of a size is recorded
        y = pcn.predict(net, given)
        assert y.shape == size and y.dtype == np.float64


@pytest.mark.parametrize("name, sample", CASES)
def test_derivatives_are_those_of_the_output_along_any_direction(name, sample):
    cls = LAYERS[name]
    params = parameters(cls, sample)
    y, _, _ = run(cls, sample, sample.inputs, params)
    d = random.standard_normal(np.shape(y))
    _, *ders = run(cls, sample, sample.inputs, params, d)
    slots: list[tuple[int, int]] = [(0, i) for i in range(len(sample.inputs)) if i not in sample.fixed]
    slots += [(1, i) for i in range(len(params)) if i not in cls.averaged]
    for group, i in slots:
        values = (sample.inputs, params)[group][i]
        assert values.dtype == np.float64
        direction = random.standard_normal(values.shape)

        def along(step: float, group=group, i=i, direction=direction) -> float:
            moved = [list(sample.inputs), list(params)]
            moved[group][i] = moved[group][i] + step * direction
            return float(np.sum(d * run(cls, sample, *moved)[0]))

        assert np.sum(ders[group][i] * direction) == pytest.approx(slope(along), rel=1e-6, abs=1e-7)


def slope(f: Callable[[float], float], step: float = 1e-5) -> float:
    return (f(step) - f(-step)) / (2 * step)


def four(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape, 1, 1, 1, 1)[:4]
