"""Times pyconvnet against the libraries that are installed beside it.

    python -m tests.bench                        everything, as a table
    python -m tests.bench VGG LeNet              what has such a word in its name
    python -m tests.bench --json out.json        the same as JSON as well
    python -m tests.bench --peers pyconvnet --rounds 5
    python -m tests.bench --against ../before    beside another checkout of pyconvnet, in place of the libraries
    python -m tests.bench gpu                    PyTorch tensors on a GPU, beside plain PyTorch (--help says more)
    python -m tests.bench scaling                training in 1, 2 and 4 processes: see scaling.py
    python -m tests.bench curves                 time and memory against images, batch, threads: see curves.py
    python -m tests.bench first                  where nothing is compiled yet, and in later processes: see first.py
    python -m tests.bench overhead               a recorded run of ResNet-50 outside its kernels: see overhead.py
    python -m tests.bench soak --minutes 10      threads and processes at once, for long: see soak.py

Every library lives in a process of its own; they run in turn, in an order that changes, so that what the machine does
beside it meets all of them, and medians are compared. `ratio` is our time over the best peer's; `of limit` the time
that the machine's registers, or its memory, would take for the work at best (limits.py), over ours: above 1 where an
algorithm multiplies less. `pip install torch onnxruntime openvino onnx` brings the peers.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from statistics import median

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER))

import benchmarks  # noqa: E402
import worker  # noqa: E402

# Some libraries keep their threads spinning for a while after a run, which the next one would pay for.
PAUSE, WARM = 0.15, 0.2  # seconds


class Peer:
    """A live process of one library, made anew where it died."""

    def __init__(self, name: str) -> None:
        self.name, self.times, self.peak = name, [], 0.0
        other = Path(name, "tests", "bench")
        run = [other / "worker.py", "pyconvnet"] if other.is_dir() else [FOLDER / "worker.py", name]
        self.command = [sys.executable, *map(str, run)]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def ask(self, **order) -> dict:
        time.sleep(PAUSE)
        answer = ""
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(order), file=self.process.stdin, flush=True)
            answer = self.process.stdout.readline()
        if not answer:
            self.close()
            self.start()
        return json.loads(answer or '{"error": "the process died"}')

    def close(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()


def measure(name: str, live: list[Peer], rounds: int, seconds: float) -> dict:
    """Times of every library for one benchmark: {peer: {"ms", "first_s", "peak_mb"} or {"error"}}."""
    found: dict[str, dict] = {}
    ready, repeat = [], {}

    def timed(peer: Peer, count: int) -> float | None:
        """Seconds of a run; where the process died or the run failed, the peer is out."""
        answer = peer.ask(repeat=count)
        if "error" in answer:
            found[peer.name] = answer
            ready.remove(peer)
            return None
        peer.peak = answer["peak_mb"]
        return answer["seconds"]

    for peer in live:
        answer = peer.ask(prepare=name)
        if answer.get("first") is not None:
            found[peer.name] = {"first_s": answer["first"]}
            peer.times = []
            ready.append(peer)
        elif "error" in answer:
            found[peer.name] = answer
    for peer in list(ready):
        # A library's first runs are slow, and say little about how often it should run in a turn.
        if (once := timed(peer, 2)) is not None and (once := timed(peer, _times(WARM, once, 20))) is not None:
            repeat[peer] = _times(seconds / rounds, once, 100)
    order = Random(0)
    for _ in range(rounds):
        # always in the same order, whoever comes after the loop of multiplications would take up to 7 % longer
        for peer in order.sample(ready, len(ready)):
            if (once := timed(peer, repeat[peer])) is not None:
                peer.times.append(once)
    for peer in ready:
        found[peer.name] |= {"ms": 1e3 * median(peer.times), "peak_mb": peer.peak}
    for peer in live:
        peer.ask(drop=True)
    return found


def _times(seconds: float, once: float, most: int) -> int:
    """How often a run fits in so many seconds, from 1 to `most`."""
    return max(1, min(most, int(seconds / max(1e-5, once))))


def summary(name: str, found: dict) -> dict:
    """With the ratio to the best peer, and GFLOP/s."""
    work, target = benchmarks.gflop(name), benchmarks.ALL[name].target
    for result in found.values():
        if "ms" in result and work:
            result["gflops"] = work / result["ms"] * 1e3
    limits = {limit: found.pop(limit).get("ms", 0.0) for limit in worker.LIMITS if limit in found}
    others = {p: r["ms"] for p, r in found.items() if p != "pyconvnet" and "ms" in r}
    out = {"name": name, "target": target, "peers": found, "limits_ms": limits}
    if any(limits.values()) and "ms" in found.get("pyconvnet", {}):
        out["limit"] = max(limits, key=limits.get)
        out["of_limit"] = limits[out["limit"]] / found["pyconvnet"]["ms"]
    if others and "ms" in found.get("pyconvnet", {}):
        out["best"] = min(others, key=others.get)
        out["ratio"] = found["pyconvnet"]["ms"] / others[out["best"]]
    return out


def row(result: dict) -> str:
    ours = result["peers"].get("pyconvnet", {})
    if "ms" not in ours:
        return f"{result['name']:<46} {ours.get('error', 'not run')}"
    line = f"{result['name']:<46} {ours['ms']:9.2f} {ours.get('gflops', 0):8.0f} {ours['peak_mb']:8.0f}"
    line += f" {result['of_limit']:8.2f} {result['limit']:<8}" if "of_limit" in result else " " * 18
    if "ratio" in result:
        best = result["peers"][result["best"]]
        line += f" {result['ratio']:6.2f} {result['target'] or 0:7.2f} {best['ms']:9.2f} {best['peak_mb']:8.0f}"
        line += f"  {result['best']}"
    return line


def main() -> None:
    if sys.argv[1:2] == ["gpu"]:
        import gpu

        return gpu.main(sys.argv[2:])
    if sys.argv[1:2] == ["scaling"]:
        import scaling

        return scaling.main(sys.argv[2:])
    if sys.argv[1:2] == ["curves"]:
        import curves

        sys.exit(curves.main(sys.argv[2:]))
    if sys.argv[1:2] == ["first"]:
        import first

        sys.exit(first.main())
    if sys.argv[1:2] == ["overhead"]:
        import overhead

        sys.exit(overhead.main())
    if sys.argv[1:2] == ["soak"]:
        import soak

        sys.exit(soak.main(sys.argv[2:]))
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", help="only benchmarks with one of these words in their names")
    parser.add_argument("--peers", nargs="*", choices=worker.PEERS, help="only these libraries")
    parser.add_argument("--rounds", type=int, default=7, help="turns that each library gets (7)")
    parser.add_argument("--seconds", type=float, default=3, help="time for a library in a benchmark (3)")
    parser.add_argument("--json", type=Path, help="write the results here as well")
    parser.add_argument("--against", type=Path, help="another checkout, which is the only peer")
    args = parser.parse_args()
    names = [n for n in benchmarks.ALL if not args.words or any(w.lower() in n.lower() for w in args.words)]
    peers = [p for p in args.peers or worker.PEERS if worker.installed(p)]
    if args.against is not None:
        peers = ["pyconvnet", str(args.against.resolve())]
    print("libraries:", ", ".join(peers))
    heads = f"{'ms':>9} {'GFLOP/s':>8} {'peak MB':>8} {'of limit':>8} {'':<8} {'ratio':>6} {'target':>7}"
    print(f"{'':<46} {heads} {'best ms':>9} {'peak MB':>8}")
    results = []
    live = [Peer(p) for p in [*peers, *worker.LIMITS]]
    try:
        for name in names:
            results.append(summary(name, measure(name, live, args.rounds, args.seconds)))
            print(row(results[-1]), flush=True)
            if args.json:
                args.json.write_text(json.dumps(results, indent=1), encoding="utf-8")
    finally:
        for peer in live:
            peer.close()


if __name__ == "__main__":
    main()
