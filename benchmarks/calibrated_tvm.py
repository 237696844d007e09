"""How good the model `calibrated` is on real networks that Apache TVM compiles: built once, timed and scored apart.

Usage:
    python benchmarks/calibrated_tvm.py build FOLDER... --record RECORD.json [--budget SECONDS] [--longest SECONDS]
    python benchmarks/calibrated_tvm.py run FOLDER... --record RECORD.json [--budget SECONDS]
    python benchmarks/calibrated_tvm.py score FOLDER... --record RECORD.json [--machine NAME] [--summary SUMMARY.json]
        [--page docs/calibrated.md]

FOLDER: where the files of `benchmarks/networks/*.csv` lie, anywhere below. `benchmarks/networks/tvm.csv` says which of
them are taken, beside networks that ship. `build` compiles probes and networks as `roofline calibrate --backend tvm`
compiles its probes; what is built is kept beside the record, and a call goes on where one ended. A network that takes
longer than the longest is passed over, and said. `run` and `score` are as those of `calibrated.py`.
"""

from __future__ import annotations

import argparse
import csv
import os
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from calibrated import publish
from calibrated_runs import LISTS, KeptFigures, Network, format_record, measure, networks, read

from roofline.binding import Binding
from roofline.progress import tell_nobody
from roofline.validate.calibration.microbenchmarks import Rounds
from roofline.validate.calibration.probe_timing import run_request
from roofline.validate.calibration.probes import probes_of
from roofline.validate.calibration.steadiness import Step
from roofline.validate.measuring.backend import Artifact, Request, backends
from roofline.validate.measuring.runnable_model import Runnable, load_arrays, make_runnable
from roofline.validate.tvm.setup import load_tvm

BACKEND = "tvm"
SHIPPED = "shipped"
"""The list of the networks that ship."""
MARKS = ("<!-- tvm tables -->", "<!-- end of tvm tables -->")
_WARM_UP = 2


def chosen(folders: Sequence[Path]) -> dict[str, list[Network]]:
    """Return the networks of `tvm.csv` whose files are below the folders: those that ship, and those of packages."""
    with (LISTS / "tvm.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    known = {
        entry.name: entry
        for name in dict.fromkeys(row["list"] for row in rows)
        if name != SHIPPED
        for entry in networks(name, folders)
    }
    shipped = [row["model"] for row in rows if row["list"] == SHIPPED]
    return {
        SHIPPED: [Network(name, name, Path(name), {}, {}) for name in shipped],
        "packages": [known[row["model"]] for row in rows if row["model"] in known],
    }


def program_of(network: Network, threads: int, folder: Path) -> tuple[Request, Artifact, Runnable]:
    """Return a network's program, built the first time it is asked for: random weights where it ships without."""
    binding = Binding(None, {}, dict(network.inputs), dict(network.values))
    made = make_runnable(str(network.path), binding=binding, seed=0, folder=folder)
    asked = Request(
        run_request(network.name, BACKEND, threads), made.model, folder, fresh=False, in_turn=True
    )
    return asked, backends.get(BACKEND).prepare(asked, tell_nobody), made


def build(
    every: Sequence[Network], threads: int, kept: KeptFigures, folder: Path, end: float, longest_s: int
) -> None:  # fmt: skip
    """Build networks one by one, each in a process of its own that ends after so many seconds of the CPU."""
    tried = {line["built"] for line in kept.lines() if "built" in line}
    # Once, and not in each process.
    load_tvm()
    for network in every:
        if time.monotonic() > end or network.name in tried:
            continue
        child = os.fork()
        if not child:
            resource.setrlimit(resource.RLIMIT_CPU, (longest_s, longest_s + 5))
            try:
                program_of(network, threads, folder)
            except BaseException as error:
                reason = f"{type(error).__name__}: {str(error)[:200]}"
                print(f"{network.name}: {reason}", file=sys.stderr)
                os._exit(1)
            os._exit(0)
        _, status, used = os.wait4(child, 0)
        seconds = used.ru_utime + used.ru_stime
        kept.add(built=network.name, cpu_s=seconds, status=os.waitstatus_to_exitcode(status))
        outcome = "not built" if status else "built"
        print(f"{network.name}: {outcome}, {seconds:.0f} s of the CPU", file=sys.stderr)


def built(kept: KeptFigures) -> Mapping[str, bool]:
    """Return the networks that building was tried of, and whether it came to its end."""
    return {line["built"]: not line["status"] for line in kept.lines() if "built" in line}


def step_of(network: Network, threads: int, folder: Path) -> Step:
    """Return what runs a network once, warm."""
    asked, program, made = program_of(network, threads, folder)
    session = backends.get(BACKEND).load(asked, program)
    session.bind(load_arrays(made.inputs))
    for _ in range(_WARM_UP):
        session.step()
    return session.step


def main() -> None:
    """Build, measure and keep, or score what was kept."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=("build", "run", "score"))
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--record", "-o", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--budget", type=float, default=float("inf"), help="seconds of a call")
    parser.add_argument("--longest", type=int, default=90, help="seconds of the CPU for a network")
    parser.add_argument("--machine", help="its name in the summary")
    parser.add_argument("--summary", type=Path, help="scores by machine, to add to")
    parser.add_argument("--page", type=Path, help="write the tables between its marks")
    asked = parser.parse_args()
    os.environ.update(backends.get(BACKEND).environment(run_request("", BACKEND, asked.threads)))
    lists, kept = chosen(asked.folders), KeptFigures(asked.record)
    every = [network for found in lists.values() for network in found]
    folder = asked.record.with_suffix("")
    if asked.what == "build":
        Rounds(BACKEND, asked.threads, kept.probes).build([p.name for p in probes_of(BACKEND)])
        end = time.monotonic() + asked.budget
        build(every, asked.threads, kept, folder, end, asked.longest)
        return
    if asked.what == "run":
        done = built(kept)
        ready = [network for network in every if done.get(network.name)]
        made = measure(
            ready, BACKEND, asked.threads, kept, asked.budget,
            lambda network, _, threads: step_of(network, threads, folder),
        )  # fmt: skip
        if made is None:
            print("The budget is spent: call again to go on.", file=sys.stderr)
            return
        asked.record.write_text(format_record(made), encoding="utf-8")
    publish(
        [read(asked.record)],
        {**lists, "all": every},
        asked.machine,
        asked.summary,
        asked.page,
        MARKS,
    )


if __name__ == "__main__":
    main()
