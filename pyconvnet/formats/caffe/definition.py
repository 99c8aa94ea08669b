"""What a .prototxt of any version of Caffe says: the inputs of a network, and its layers in test mode."""

from __future__ import annotations

from typing import NamedTuple

from pyconvnet.formats.caffe.prototxt import Message

# Names that version 0 has for types and for fields; otherwise types differ in CAPITALS_AND_DASHES only
_TYPES = {"conv": "convolution", "pool": "pooling", "softmaxloss": "softmaxwithloss"}
_FIELDS = {"biasterm": "bias_term", "kernelsize": "kernel_size"}
LARGEST = 10_000
DATA = {"data", "imagedata", "memorydata", "hdf5data", "windowdata", "dummydata", "annotateddata", "input"}


class LayerDefinition(NamedTuple):
    """A layer: `type` in lower case without dashes (innerproduct), `written` as it stands in the file."""

    name: str
    type: str
    written: str
    bottoms: list[str]
    tops: list[str]
    message: Message
    flat: bool  # a layer of version 0, which has its options among its own fields
    shared: list[str]  # names of its parameters, where layers share them
    rates: list[tuple[float, float]]  # of learning and weight decay, of each parameter

    def options(self, name: str) -> Message:
        return self.message if self.flat else self.message.message(name)


class Definition(NamedTuple):
    """Inputs with their sizes N x C x H x W, of any number of axes, or None; layers; Caffe's average colour or []."""

    inputs: dict[str, list[int] | None]
    layers: list[LayerDefinition]
    mean_value: list[float]


def definition(net: Message) -> Definition:
    """The network that a message is: of all its layers those that Caffe has in the test phase, without data layers."""
    names = net.words("input")
    shapes = [shape.counts("dim") for shape in net.messages("input_shape")]
    dims = net.counts("input_dim")
    shapes = shapes or [dims[i : i + 4] for i in range(0, len(dims), 4)]
    inputs: dict[str, list[int] | None] = dict.fromkeys(names)
    inputs.update(zip(names, shapes))
    layers: list[LayerDefinition] = []
    mean: list[float] = []
    messages = [*net.messages("layer"), *net.messages("layers")]
    if len(messages) > LARGEST:
        raise ValueError(f"it has {len(messages)} layers, at most {LARGEST} are read")
    for i, message in enumerate(messages, 1):
        if not _in_test_phase(message):
            continue
        layer = _layer(message, f"layer{i}")
        if layer.type in DATA and not layer.bottoms:
            given = _data_shapes(layer)
            inputs.update({top: given[k] if k < len(given) else None for k, top in enumerate(layer.tops)})
            mean = layer.message.message("transform_param").numbers("mean_value") or mean
        else:
            layers.append(layer)
    if not layers:
        raise ValueError("it has no layers (layer { } or layers { })")
    return Definition(inputs, layers, mean)


def _layer(message: Message, usual_name: str) -> LayerDefinition:
    flat = "layer" in message
    own = message.message("layer") if flat else message
    if flat:
        own.fields = {_FIELDS.get(name, name): values for name, values in own.fields.items()}
    written = own.word("type")
    kind = written.replace("_", "").lower()
    params = [] if all(isinstance(p, str) for p in own.fields.get("param", ())) else own.messages("param")
    rates = [(p.number("lr_mult", 1), p.number("decay_mult", 1)) for p in params]
    if "blobs_lr" in own:
        decay = own.numbers("weight_decay")
        rates = [(rate, decay[k] if k < len(decay) else 1) for k, rate in enumerate(own.numbers("blobs_lr"))]
    return LayerDefinition(
        own.word("name") or usual_name,
        _TYPES.get(kind, kind),
        written,
        message.words("bottom"),
        message.words("top"),
        own,
        flat,
        [p.word("name") for p in params] or (own.words("param") if "param" in own else []),
        rates,
    )


def _in_test_phase(message: Message) -> bool:
    include, exclude = message.messages("include"), message.messages("exclude")
    return any(map(_holds, include)) if include else not any(map(_holds, exclude))


def _holds(rule: Message) -> bool:
    """Whether a rule (NetStateRule) holds in the test phase at level 0, without stages."""
    return (
        rule.word("phase", "TEST") == "TEST"
        and rule.number("min_level", 0) <= 0 <= rule.number("max_level", 0)
        and "stage" not in rule
    )


def _data_shapes(layer: LayerDefinition) -> list[list[int]]:
    """Sizes of the outputs of a data layer, as far as it says them."""
    kinds = {"input": "input_param", "dummydata": "dummy_data_param"}
    if layer.type in kinds:
        shapes = [shape.counts("dim") for shape in layer.options(kinds[layer.type]).messages("shape")]
        return shapes * len(layer.tops) if len(shapes) == 1 else shapes
    memory = layer.options("memory_data_param")
    if "channels" in memory:
        return [[1, *(memory.count(name, 1) for name in ("channels", "height", "width"))]]
    for options in ("transform_param", "data_param", "image_data_param"):
        crop = layer.options(options).count("crop_size", 0)
        if crop:
            return [[1, 3, crop, crop]]
    return []
