"""Full disks, read-only disks, folders that vanish: everything that writes files, on real ones.

    python -m tests.faults              needs root, who makes small disks in a mount namespace
    python -m tests.faults --stand-ins  needs no rights: limits of file sizes, permissions

A line for each check says what was tried and what the error said. The exit code is 1 if one failed.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.faults import checks
from tests.faults.disks import MOUNTED, STAND_INS, Fault, mount, unmount
from tests.faults.writers import WRITERS

Check = Callable[[Path], str]


def checks_of(fault: Fault, parts: tuple[float, ...]) -> Iterator[tuple[str, Check]]:
    """(what is tried, the function that tries it in a folder); parts: for how much of a file there is room."""
    for writer in WRITERS:
        if not writer.ready():
            print(f"left out: {writer.name}, which needs {' and '.join(writer.needs)}")
            continue
        if "vanish" in fault.name and writer.makes_folder:
            continue
        for part in parts if "full" in fault.name else (0.0,):
            room = f" with room for {part:.0%}" if "full" in fault.name else ""
            yield f"{writer.name}, {fault.name}{room}", lambda f, w=writer, p=part: checks.refusal(w, fault, f, p)
    if "vanish" not in fault.name:  # whose folder is made
        yield f"download, {fault.name}", partial(checks.downloading, fault)
    for graph in (False, True):
        yield f"training of a {'DagNN' if graph else 'SimpleNN'}, {fault.name}", partial(checks.training, graph, fault)
    if "vanish" not in fault.name:
        yield f"start of a training, {fault.name}", partial(checks.start, fault)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stand-ins", action="store_true")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if not args.stand_ins and not args.inside:  # what is mounted is seen by the new process alone, and goes with it
        os.execvp("unshare", ["unshare", "--mount", sys.executable, "-m", "tests.faults", "--inside"])
    faults = [*MOUNTED, *(f for f in STAND_INS if not f.keeps)] if args.inside else STAND_INS
    failed = done = 0
    with tempfile.TemporaryDirectory() as base:
        os.chmod(base, 0o755)
        for fault in faults:
            for what, check in checks_of(fault, (0.0, 0.25, 0.5, 0.9)):
                done += 1
                folder = Path(base) / str(done) / "here"
                folder.parent.mkdir()
                folder.mkdir()
                if fault in MOUNTED:
                    mount("-t", "tmpfs", "-o", "size=24m", "tmpfs", folder)
                try:
                    print(f"{what}: {check(folder).replace(str(folder), 'here')}", flush=True)
                except Exception as error:
                    failed += 1
                    print(f"FAILED: {what}: {traceback.format_exception_only(error)[-1].strip()}", flush=True)
                if fault in MOUNTED:
                    unmount(folder)
    print(f"{done} checks, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
