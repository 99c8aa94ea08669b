"""The command line: pyconvnet show, run, convert, fetch, port, demo, report, warmup. COMMAND --help tells more."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from pyconvnet import atomic
from pyconvnet.interrupts import Interrupt, postponed
from pyconvnet.options import nearest
from pyconvnet.text import drawn_text, visible


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0 done, 1 it failed, 2 wrong usage, 130 Ctrl-C; stderr says why."""
    args = parser().parse_args(argv)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_: print(f"pyconvnet: {visible(str(message))}", file=sys.stderr)
            code = args.command(args)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # `pyconvnet show ... | head`: the pipe is closed, and Python's own flush at the end must not complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (OSError, ValueError, TypeError, ImportError, RuntimeError) as error:
        return _fail(error)
    except KeyboardInterrupt as interrupt:
        print(f"pyconvnet: {str(interrupt) or 'interrupted'}", file=sys.stderr)
        return 130


def parser() -> argparse.ArgumentParser:
    """Parser of the command line."""
    from pyconvnet import __version__

    top = argparse.ArgumentParser(
        prog="pyconvnet",
        description="Look at and run MatConvNet networks (.mat files of any release) without MATLAB.",
        epilog="Try: pyconvnet demo",
    )
    top.add_argument("--version", action="version", version=f"pyconvnet {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)

    show = _command(commands, "show", _show, "print the table of a network: its layers, sizes, memory")
    show.add_argument(
        "net",
        metavar="NET",
        help="file of a network (.mat), or the name of a standard network such as vgg-vd-16, or of one to fetch",
    )
    show.add_argument("--classic", action="store_true", help="the table of MatConvNet v1.0-beta7, as on old slides")
    show.add_argument(
        "--input", nargs="+", type=int, metavar="N", help="size of the input: H W C or H W C N (SimpleNN: else its own)"
    )
    show.add_argument("--format", choices=["ascii", "latex", "csv"], default="ascii", help="of the table (ascii)")
    show.add_argument("--columns", type=_count, default=18, metavar="N", help="cut tables after N layers (18)")
    show.add_argument("--bn", action="store_true", help="for a name: the version with batch normalization")
    show.add_argument(
        "--deployed", action="store_true", help="for a name: without dropout, with softmax (--classic: always)"
    )
    show.add_argument("--variable", help="the variable of the file that holds the network, where there are several")
    show.add_argument("--dot", action="store_true", help="the graph in Graphviz's language instead of a table")
    show.add_argument("--svg", metavar="FILE", help="draw the graph into this file (pip install graphviz)")

    run = _command(commands, "run", _run, "run a network on images: best classes, or the image that it makes")
    run.add_argument("net", metavar="NET", help="the file of a network (.mat), or a name that show knows")
    run.add_argument("images", metavar="IMAGE", nargs="+", help="images, prepared as the network's own meta says")
    run.add_argument("--top", type=_count, default=5, metavar="N", help="print the N best classes (5)")
    run.add_argument(
        "--save", metavar="OUT", help="write the output: .npy, or .png for an image; of several, OUT-IMAGE.npy each"
    )
    run.add_argument(
        "--plot",
        nargs="?",
        const="",
        metavar="OUT.png",
        help="draw image and result (default: IMAGE-result.png)",
    )
    run.add_argument("--full-size", action="store_true", help="do not resize: run over the whole image, as it is")
    run.add_argument("--unit", action="store_true", help="the network expects images in 0..1 rather than 0..255")
    run.add_argument("--residual", action="store_true", help="subtract the network's output from the image (DnCNN)")
    run.add_argument("--variable", help="the variable of the file that holds the network, where there are several")

    fetch = _command(commands, "fetch", _fetch, "download trained networks of MatConvNet; without a name, list them")
    fetch.add_argument("names", metavar="NAME", nargs="*", help="such as imagenet-vgg-verydeep-16")
    fetch.add_argument("--folder", metavar="DIR", help="where files go (PYCONVNET_MODELS, else the folder of caches)")
    fetch.add_argument(
        "--mirror",
        metavar="URL",
        action="append",
        help="a folder with NAME.mat, instead of www.vlfeat.org (or PYCONVNET_MIRRORS); several are asked in turn",
    )

    convert = _command(commands, "convert", _convert, "write a network in another format, which the suffix of OUT says")
    convert.add_argument("net", metavar="IN", help="the file of a network, or a name that show knows")
    convert.add_argument(
        "out",
        metavar="OUT",
        help="net.mat for MATLAB; net.py, source for PyTorch with net.safetensors beside it; net.safetensors, the "
        "weights alone in PyTorch's layout; and the suffixes of other formats",
    )
    convert.add_argument(
        "--check",
        metavar="IMAGE",
        help="run both networks on this image and print the largest difference (source for PyTorch is run as such)",
    )
    convert.add_argument("--prototxt", metavar="FILE", help="the definition of a .caffemodel (else: one beside it)")
    convert.add_argument("--variable", help="the variable of the file that holds the network, where there are several")

    _command(commands, "demo", _demo, "read a sentence with the small network that comes along")

    report = _command(commands, "report", _report, "one HTML page about a training: table, curves, confusion, filters")
    report.add_argument("folder", metavar="EXPDIR", help="the expDir of cnn_train or cross_validate")
    report.add_argument("--out", metavar="FILE", help="default: EXPDIR/report.html")

    port = _command(commands, "port", _port, "translate an experiment's .m files to Python")
    port.add_argument("folder", metavar="FOLDER", help="folder of .m files, or one of them; nothing of them is run")
    port.add_argument("--out", metavar="DIR", help="folder for the Python files (default: FOLDER-python)")

    _command(commands, "warmup", _warmup, "compile all kernels now, rather than when they are first used")
    return top


def _command(commands: Any, name: str, run: Any, help: str) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
    command.set_defaults(command=run)
    return command


def _count(text: str) -> int:
    """A number from 1 up."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 up, got {text}")
    return int(text)


def _fail(error: BaseException, say: Callable[..., None] = print) -> int:
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, OSError) and error.strerror and error.filename:
        text = f"{error.filename}: {error.strerror}"
    say(f"pyconvnet: {visible(text)}", file=sys.stderr)
    return 1


def _show(args: argparse.Namespace) -> int:
    from pyconvnet import dagnn, formats, models, vl_simplenn_display
    from pyconvnet.models import named
    from pyconvnet.networks import is_graph, network

    if Path(args.net).exists() or formats.names_file(args.net) or args.net in models.published_names():
        net = formats.load(named.file_of(args.net), tidy=not args.classic, variable=args.variable)
    elif args.net not in models.names():
        near = nearest(args.net, [*models.names(), *models.published_names()])
        hint = f"did you mean {near}? known" if near else "known"
        raise ValueError(f"{args.net} is neither a file nor a standard network; {hint}: {', '.join(models.names())}")
    else:
        net = models.build(args.net, batchNormalization=args.bn, init=False, deployed=args.deployed or args.classic)
    if args.dot or args.svg:
        graph = network(net).graph()
        if args.dot:
            print(dagnn.printing.describe(graph, Format="dot"), end="")
        if args.svg:
            atomic.write(args.svg, dagnn.printing.to_svg(graph))
    elif is_graph(net):
        _refuse_classic(args)
        own: Any = net.meta.get("inputSize")  # names and sizes in turn, as MatConvNet's examples of graphs write it
        sizes = dict(zip(own[::2], map(np.ravel, own[1::2]))) if isinstance(own, list) else None
        if args.input:
            names = [name for name in net.getInputs() if name != "label"]
            sizes = {name: _size(args.input) for name in names[:1]}
        net.print(sizes, All=True, Format=args.format, MaxNumColumns=args.columns)
    else:
        style = "classic" if args.classic else None
        size = _size(args.input) if args.input else None
        options = {} if args.columns == 18 else {"maxNumColumns": args.columns}
        print(vl_simplenn_display(net, inputSize=size, format=args.format, style=style, **options)[1], end="")
    return 0


def _refuse_classic(args: argparse.Namespace) -> None:
    if args.classic:
        raise ValueError(f"{args.net} is a DagNN: the classic table is one of SimpleNN")


def _size(numbers: list[int]) -> list[int]:
    if not 2 <= len(numbers) <= 4 or min(numbers) < 1:
        raise ValueError(f"--input must be H W C or H W C N, got {' '.join(map(str, numbers))}")
    return numbers + [1] * (4 - len(numbers))


def _run(args: argparse.Namespace) -> int:
    from pyconvnet.models import named

    _check_targets(args)
    net = named.load(args.net, variable=args.variable)
    several = len(args.images) > 1
    failed = done = 0
    try:
        with postponed("this image") if several else nullcontext(Interrupt()) as interrupt:
            for image, say in _progress(args.images):
                try:
                    _run_one(args, net, image, say)
                except (OSError, ValueError, TypeError) as error:
                    if not several:
                        raise
                    failed = _fail(error if str(image) in str(error) else ValueError(f"{image}: {error}"), say)
                done += 1
                if interrupt.came:  # raised at the end of the block
                    break
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"stopped, {done} of {len(args.images)} images are done") from None
    return failed


def _run_one(args: argparse.Namespace, net: Any, image: str, say: Callable[..., None]) -> None:
    from pyconvnet import predict
    from pyconvnet.models import preprocess

    x = preprocess(net, image, resize=not args.full_size)
    x = x / np.float32(255) if args.unit else x
    y = predict(net, x)
    if args.residual:
        y = x - y
    for line in _answer(net, image, y, args.top):
        say(visible(line))
    scale = 255 if args.unit else 1
    if args.save:
        _write(_target(args.save, image, len(args.images)), y, scale)
    if args.plot is not None:
        several = len(args.images) if args.plot else 1
        _plot(_target(args.plot or f"{Path(image).stem}-result.png", image, several), net, image, y, scale)


def _progress(images: list[str]) -> Iterator[tuple[str, Callable[..., None]]]:
    """(image, function that prints a line) of each; with a bar on stderr for many images, if tqdm is installed."""
    try:
        if len(images) < 4 or not sys.stderr.isatty():
            raise ImportError
        from tqdm import tqdm
    except ImportError:
        yield from ((image, print) for image in images)
        return
    with tqdm(images, unit="image", file=sys.stderr) as bar:
        yield from ((image, bar.write) for image in bar)  # lines go above the bar


def _answer(net: Any, image: str, y: np.ndarray, top: int) -> Iterator[str]:
    from pyconvnet import best_classes
    from pyconvnet.arrays import size_text
    from pyconvnet.prediction import is_image

    if is_image(y):
        yield f"{image}: {size_text(y.shape[:3])} image, values {y.min():.4g} to {y.max():.4g}, mean {y.mean():.4g}"
        return
    head = f"{image}: "
    if y.shape[0] * y.shape[1] > 1:
        yield f"{head}{size_text(y.shape[:3])} scores; their mean over positions:"
        head = "  "
    for best in best_classes(net, y, top):
        yield f"{head}{best}"
        head = " " * len(head)


def _check_targets(args: argparse.Namespace) -> None:
    """Refuse --save and --plot that cannot be written before anything is computed."""
    if args.save:
        if Path(args.save).suffix != ".npy":
            from pyconvnet.images import format_of

            format_of(args.save)
        atomic.check(args.save)
    if args.plot:
        from pyconvnet.view.plots import check_format

        check_format(args.plot)
        atomic.check(args.plot)


def _target(out: str, image: str, several: int) -> Path:
    path = Path(out)
    return path if several == 1 else path.with_name(f"{path.stem}-{Path(image).stem}{path.suffix}")


def _write(path: Path, y: np.ndarray, scale: float) -> None:
    """The output as .npy, or as an image: of 1 or 3 channels as they are, else the number of the best class."""
    if path.suffix == ".npy":
        atomic.write(path, lambda draft: np.save(draft, y))
        return
    from pyconvnet.images import imwrite

    image = y[:, :, :, 0]
    if image.shape[2] in (1, 3):
        image = np.clip(np.rint(image * scale), 0, 255).astype(np.uint8)
        image = image[:, :, 0] if image.shape[2] == 1 else image
    else:
        image = (image.argmax(axis=2) + 1).astype(np.uint8 if image.shape[2] < 256 else np.uint16)
    imwrite(image, path)


def _plot(path: Path, net: Any, image: str, y: np.ndarray, scale: float) -> None:
    from pyconvnet import best_classes, view
    from pyconvnet.images import imread, single
    from pyconvnet.prediction import is_image

    grey = {"cmap": "gray", "vmin": 0, "vmax": 1}
    made = is_image(y)
    _, axes = view.figure(1, 2 if made else 1)
    for ax in axes.ravel():
        ax.axis("off")
    A = imread(image)
    if A.dtype.kind == "f":  # its white is not known: the largest value
        axes[0, 0].imshow(A, cmap="gray")
    else:
        axes[0, 0].imshow(single(A) / 255, **grey)
    if made:
        axes[0, 1].imshow(np.clip(y[:, :, :, 0] * scale / 255, 0, 1).squeeze(), **grey)
    else:
        axes[0, 0].set_title(drawn_text(best_classes(net, y, 1)[0]))
    view.save(axes, path, dpi=100)


def _fetch(args: argparse.Namespace) -> int:
    from pyconvnet import models
    from pyconvnet.models.pretrained import path_of

    for name in args.names:
        print(models.fetch(name, folder=args.folder, mirrors=args.mirror))
    if not args.names:
        width = max(map(len, models.published_names()))
        for name in models.published_names():
            path = path_of(name, args.folder)
            print(f"{name:{width}}  {path if path.exists() else ''}".rstrip())
    return 0


def _convert(args: argparse.Namespace) -> int:
    from pyconvnet import formats
    from pyconvnet.formats import registry
    from pyconvnet.models import named

    registry.written_as(args.out)
    atomic.check(args.out)
    if Path(args.out).exists() and Path(args.net).exists() and Path(args.out).samefile(args.net):
        raise ValueError(f"convert: OUT must be another file than IN, got {args.out} for both")
    if args.prototxt:
        from pyconvnet.formats.caffe import from_caffe

        net = from_caffe(args.prototxt, args.net)
    else:
        net = named.load(args.net, variable=args.variable)
    formats.save(args.out, net)
    print(f"{args.out} is written")
    if args.check:
        worst, largest = _difference(net, args.out, args.check)
        print(f"{args.check}: the outputs differ by {worst:.2g} at most, the largest is {largest:.4g}")
        if not worst <= _TOLERATED * largest:
            raise ValueError(f"{args.out} does not give the outputs of {args.net}")
    return 0


_TOLERATED = 1e-3  # between outputs of a network in two formats, relative to the largest


def _difference(net: Any, path: str, image: str) -> tuple[float, float]:
    """(largest difference, largest output) of a network and of the file that was made of it, for an image."""
    from pyconvnet import formats, local_precision, predict
    from pyconvnet.arrays import in_precision
    from pyconvnet.formats import registry
    from pyconvnet.models import preprocess
    from pyconvnet.networks import network

    x = in_precision(preprocess(net, image), [w for _, weights in network(net).weights() for w in weights])
    with local_precision("high"):  # other programs have the exact power in LRN
        ours = predict(net, x)
        theirs = registry.run(path, x)
        theirs = predict(formats.load(path), x) if theirs is None else theirs
    if ours.shape != theirs.shape:
        raise ValueError(f"{path}: its output is {theirs.shape}, that of the network {ours.shape}")
    return float(np.abs(ours - theirs).max()), float(np.abs(ours).max())


def _demo(args: argparse.Namespace) -> int:
    from pyconvnet import formats, vl_simplenn_display
    from pyconvnet.models.sentence import LETTERS, SENTENCE, read_sentence

    net = formats.load(LETTERS)
    print(f"{LETTERS.name}: a network that reads letters a-z, 32 x 32 pixels each\n")
    print(vl_simplenn_display(net, style="classic")[1])
    reading = read_sentence(net, SENTENCE)
    print(f"{SENTENCE.name}, read fully convolutionally, one letter for every four pixels:\n{reading.columns}\n")
    print(f"which says:\n{reading.text}")
    return 0


def _report(args: argparse.Namespace) -> int:
    from pyconvnet.report import report

    print(report(args.folder, args.out))
    return 0


def _port(args: argparse.Namespace) -> int:
    from pyconvnet.port import port
    from pyconvnet.port.summary import summary

    print(summary(port(args.folder, args.out)), end="")
    return 0


def _warmup(args: argparse.Namespace) -> int:
    from pyconvnet.backends.cpu.warmup import warmup

    print(f"{warmup(progress=sys.stderr.isatty())} kernels are ready")
    return 0
