"""What TVM on two threads loses to programs beside it: one network alone and beside each of them, in turns.

    python benchmarks/tvm_two_threads.py --rounds 3 --write docs/tvm.md

TVM divides a kernel evenly over its threads and waits for the last one, so that a little work of others on one core
delays the whole. Beside the run is, one at a time: ONNX Runtime with as many threads of its own, which waits after one
run, or runs ten times a second, spinning between runs or not; and what watched a run's memory until November 2026,
which read every process of the machine fifty times a second. What was run is kept: a run that was ended goes on. Two
cores with nothing else to do are needed: what else runs there counts too.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from kept_runs import KeptRuns
from tvm_ladder import into_page

from roofline.child import start_python
from roofline.markdown import markdown_table
from roofline.user_folders import cache_folder
from roofline.validate.measuring.measure import measure
from roofline.validate.records.record import Measurement
from roofline.validate.records.request import Protocol, RunRequest
from roofline.validate.records.tuning import Tuning

NETWORK = "mobilenet_v1"
THREADS = 2
ALONE = "nothing; the run's own watcher, ten looks a second at its own processes"


def waits() -> None:
    """Run ONNX Runtime once on as many threads, then let its pool wait."""
    _onnxruntime()()
    print(flush=True)
    time.sleep(3600)


def runs(*, spinning: bool = True) -> None:
    """Run ONNX Runtime on as many threads ten times a second; its threads may spin while they have nothing to do."""
    run = _onnxruntime(spinning=spinning)
    print(flush=True)
    while True:
        run()
        time.sleep(0.1)


def watches() -> None:
    """Read the state of every process of the machine fifty times a second."""
    print(flush=True)
    while True:
        for entry in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                entry.read_text(encoding="utf-8").rpartition(")")[2].split()
        time.sleep(0.02)


BESIDE: Mapping[str, Callable[[], None]] = {
    "ONNX Runtime's pool, waiting": waits,
    "ONNX Runtime's pool, ten runs a second": runs,
    "the same, its threads not to spin": partial(runs, spinning=False),
    "a watcher of all processes, fifty looks a second": watches,
}
"""What runs beside, by what the table calls it."""


def _onnxruntime(*, spinning: bool = True) -> Callable[[], object]:
    """Return what runs the network once in ONNX Runtime."""
    import numpy as np
    import onnxruntime

    from roofline.validate.measuring.runnable_model import make_runnable

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spinning)))
    model = make_runnable(NETWORK, seed=0, folder=cache_folder()).model
    session = onnxruntime.InferenceSession(str(model), options)
    inputs = {
        entry.name: np.zeros([size if isinstance(size, int) else 1 for size in entry.shape], np.float32)
        for entry in session.get_inputs()
    }  # fmt: skip
    return lambda: session.run(None, inputs)


def time_beside(beside: str, sampling_s: float) -> Measurement:
    """Run the network in TVM beside one of the programs, or alone."""
    request = RunRequest(
        NETWORK, "tvm", tuning=Tuning.TUNED, trials=8, threads=THREADS,
        protocol=Protocol(runs=2000, sampling_s=sampling_s, time_limit_s=600.0),
    )  # fmt: skip
    if beside == ALONE:
        return measure(request)
    here = Path(__file__)
    other = start_python(
        str(here), "--beside", beside, variables={"PYTHONPATH": str(here.parent)}, stdout=subprocess.PIPE
    )  # fmt: skip
    with other:
        try:
            assert other.stdout is not None
            if not other.stdout.readline():
                raise SystemExit(f"{beside}: it ended")
            return measure(request)
        finally:
            other.kill()


def page(found: Mapping[str, Sequence[Measurement]]) -> str:
    """Return the table: medians of each run, and what it was beside."""
    base = _median(found[ALONE])
    rows: list[list[str]] = []
    for beside, records in found.items():
        medians = [1e3 * record.median_s for record in records if record.median_s]
        shares = [record.environment.others_share or 0.0 for record in records]
        noticed = sum(bool(record.flags) for record in records)
        rows.append([
            beside, f"{statistics.median(medians):.3g}", f"{min(medians):.3g}–{max(medians):.3g}",
            f"{_median(records) / base:.2f}x", f"{100 * statistics.median(shares):.0f} %",
            f"{noticed} of {len(records)} rounds",
        ])  # fmt: skip
    one = found[ALONE][0]
    header = [
        "beside", "median, ms", "of the rounds, ms", "over alone", "others' share of the CPU time", "flagged",
    ]  # fmt: skip
    lead = (
        f"{one.environment.cpu}, {one.timestamp[:10]}; {NETWORK} tuned on {THREADS} threads, "
        "rounds in turns, other programs paused.\n\n"
    )
    return f"{lead}{markdown_table(header, rows, numbers_from=1)}\n"


def _median(records: Sequence[Measurement]) -> float:
    return statistics.median(record.median_s for record in records if record.median_s)


def check_ended_well(record: Measurement) -> Measurement:
    """Return a run that ended well; end with the reason of another."""
    if not record.ok:
        raise SystemExit(f"{record.status.value}: {record.reason}")
    return record


def main() -> None:
    """Run every round that is not kept, print the table and put it on the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sampling-s", type=float, default=2.0, help="seconds of timing each run")
    parser.add_argument(
        "--kept", type=Path, default=cache_folder() / "tvm-two-threads.json", help="what was run"
    )
    parser.add_argument(
        "--kept-only", action="store_true", help="run nothing more: the table of what was run"
    )
    parser.add_argument("--write", type=Path, metavar="PAGE", help="page to write the table into")
    parser.add_argument(
        "--beside", choices=list(BESIDE), help="be what runs beside, until it is ended"
    )
    given = parser.parse_args()
    if given.beside:
        BESIDE[given.beside]()
    kept = KeptRuns(given.kept)
    if not given.kept_only:
        # The first one compiles and tunes what is not kept yet.
        check_ended_well(kept.run("compiled", lambda: time_beside(ALONE, 0.0)))
    found: dict[str, list[Measurement]] = {}
    for number in range(1, given.rounds + 1):
        for beside in (ALONE, *BESIDE):
            name = f"round {number}, {beside}"
            record = (
                kept.find(name)
                if given.kept_only
                else check_ended_well(
                    kept.run(name, partial(time_beside, beside, given.sampling_s))
                )
            )
            if record is None:
                continue
            found.setdefault(beside, []).append(record)
            print(
                f"  {name}: {1e3 * (record.median_s or 0):.3g} ms",
                file=sys.stderr,
                flush=True,
            )
    text = page(found)
    print(text)
    if given.write:
        into_page(given.write, "two threads", text)


if __name__ == "__main__":
    main()
