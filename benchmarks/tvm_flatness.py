"""Whether tuning has come to an end: what the last third of the trials still gained, by algorithm, for several seeds.

    python benchmarks/tvm_flatness.py --networks vgg16_cifar10 --trials 30 --write docs/tvm.md

For every network, algorithm and seed, each kernel with a convolution or matrix product is tried so many times: kernels
on blocks with the tiles that the program's own search tries and then others drawn at random, all others with schedules
of MetaSchedule. A curve is the sum of the best times so far, each as often as the network calls the kernel; a kernel's
time is CPU time on one thread, so that other load counts little. A curve is flat where less than 2 % is gained over the
last third of the trials. What was tried is kept kernel by kernel: a run that was ended goes on.

The page has a table and a picture for each processor, between marks that name it as LLVM does
(`<!-- flatness icelake-server -->`): those of others stay as they are.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kept_runs import read_kept
from tvm_ladder import networks_parser, publish

from roofline.chart import charts, save
from roofline.chart._registry import Options as ChartOptions
from roofline.markdown import markdown_table
from roofline.user_folders import cache_folder
from roofline.writing import write_whole

if TYPE_CHECKING:
    from roofline.validate.tvm.blocked.tiles import Kernel

NETWORKS = ("vgg16_cifar10", "mobilenet_v1_cifar10")
ALGORITHMS = ("direct", "gemm", "spatial_pack", "winograd", "blocked")
FLAT = 0.02
"""Share of the time that the last third of the trials may gain."""

SEEDS = 3
"""Seeds with which a curve must be flat to be called so."""

OWN_TRIALS = 16
"""Schedules, and about the number of tiles, that a kernel gets by default."""

Tried = Mapping[str, Any]
"""What one kernel came to: its name, how often it is called, whether its tiles were sought, and the seconds of every
try in their order, null where one did not run."""

Row = dict[str, Any]


def best_so_far(kernels: Sequence[Tried], trials: int) -> float:
    """Return seconds of a network's kernels, each with the best of its first tries; infinite where none ran."""
    return sum(
        kernel["calls"]
        * min((s for s in kernel["seconds"][:trials] if s is not None), default=math.inf)
        for kernel in kernels
    )


def late_gain(kernels: Sequence[Tried], trials: int) -> float:
    """Return the share of the time that the last third of the trials gained."""
    before = best_so_far(kernels, trials - trials // 3)
    return 1.0 - best_so_far(kernels, trials) / before if math.isfinite(before) else math.inf


def summary(network: str, algorithm: str, seeds: Mapping[str, Any]) -> Row:
    """Return what the curves of all seeds say of a network and an algorithm."""
    curves = [seed["kernels"] for seed in seeds.values()]
    trials = min(seed["trials"] for seed in seeds.values())
    own = min(seed["own_trials"] for seed in seeds.values())
    best = min(best_so_far(kernels, trials) for kernels in curves)
    last = [late_gain(kernels, trials) for kernels in curves]
    return {
        "network": network,
        "algorithm": algorithm,
        "kernels": len(curves[0]),
        "on_blocks": sum(kernel["tiles"] for kernel in curves[0]),
        "trials": trials,
        "seeds": len(curves),
        "seconds": [best_so_far(kernels, trials) for kernels in curves],
        "gained": last,
        "flat": all(share < FLAT for share in last),
        "own_trials": own,
        "own_above_best": [best_so_far(kernels, own) / best - 1.0 for kernels in curves],
    }


def section(processor: str) -> str:
    """Return the name of a processor's section of the page."""
    return f"flatness {processor}"


def picture(processor: str) -> str:
    """Return the name of the file that a processor's figure is in."""
    return f"tvm_flatness_{processor}.png"


def markdown(rows: Sequence[Row], cpu: str, when: str) -> str:
    """Return the summaries as a Markdown table."""
    header = [
        "network", "algorithm", "kernels (on blocks)", "trials a kernel", "seeds", "time of the kernels, ms",
        "gained by the last third", "curve", "as tuned by default, above the best",
    ]  # fmt: skip
    cells = [
        [
            row["network"], f"`{row['algorithm']}`", f"{row['kernels']} ({row['on_blocks']})", str(row["trials"]),
            str(row["seeds"]), _span_text([1e3 * s for s in row["seconds"]], "{:.3g}"),
            _span_text([100 * share for share in row["gained"]], "{:.1f} %"),
            _judge(row),
            f"{_span_text([100 * share for share in row['own_above_best']], '{:.1f} %')} ({row['own_trials']} trials)",
        ]
        for row in rows
    ]  # fmt: skip
    lead = (
        f"{cpu}, 1 thread, {when}; CPU time, beside other work. "
        f"Flat: less than {FLAT:.0%} gained by the last third of the trials with each of {SEEDS} seeds. "
        "Copies (patches, packed images) and elementwise work are not in these times.\n\n"
    )
    return f"{lead}{markdown_table(header, cells, numbers_from=2)}\n"


def _judge(row: Row) -> str:
    if not row["flat"]:
        return "not flat: a budget"
    return "flat" if row["seeds"] >= SEEDS else f"flat, but with {row['seeds']} of {SEEDS} seeds"


def _span_text(values: Sequence[float], form: str) -> str:
    low, high = form.format(min(values)), form.format(max(values))
    return low if low == high else f"{low}–{high}"


def tile_seconds(
    kernel: Kernel, function: Any, target: Any, seed: int, given: argparse.Namespace
) -> list[float | None]:
    """Return the seconds of a kernel's tiles; the search's own are timed once for all seeds."""
    from roofline.validate.tvm.blocked import tile_search

    file = given.folder / f"tiles-{target.attrs['mcpu']}.json"
    entry: dict[str, list[float | None]] = read_kept(file).get(kernel.key, {})
    if str(seed) not in entry:
        first = [math.inf if s is None else s for s in next(iter(entry.values()), [])]
        timed = tile_search.beyond(
            kernel, function, target,
            trials=given.trials, seed=seed, workers=1, own=tile_search.own_tiles(kernel, first) if first else None,
        )  # fmt: skip
        entry[str(seed)] = [s if math.isfinite(s) else None for s in timed.values()]
        write_whole(file, json.dumps({**read_kept(file), kernel.key: entry}, indent=1).encode())
    return entry[str(seed)]


def try_all(network: str, algorithm: str, seed: int, given: argparse.Namespace) -> Row | None:
    """Try every kernel of a network by an algorithm; None where the algorithm applies to none of its layers."""
    from roofline.validate.measuring.runnable_model import make_runnable
    from roofline.validate.tvm import setup
    from roofline.validate.tvm.blocked import tile_search
    from roofline.validate.tvm.blocked.schedules import kernel_calls
    from roofline.validate.tvm.importing import import_model
    from roofline.validate.tvm.plan import BLOCKED, Computation
    from roofline.validate.tvm.tuning import metaschedule

    tvm = setup.load_tvm()
    target = setup.local_target(tvm, 1)
    model = make_runnable(network, seed=0, folder=cache_folder()).model
    imported = import_model(model, target, Computation(algorithm))
    if algorithm not in {"direct", BLOCKED} and not imported.layers.get(algorithm):
        return None
    module = imported.module
    kernels: list[Row] = []
    calls = kernel_calls(module)
    for name, kernel, function in tile_search.kernels_on_blocks(module):
        seconds = tile_seconds(kernel, function, target, seed, given)
        print(f"  {network} {algorithm} seed {seed}: {name}", file=sys.stderr, flush=True)
        kernels.append({"name": name, "calls": calls[name], "tiles": True, "seconds": seconds})
    rest = tile_search.schedule_blocks(
        module, setup.lanes(target), tile_search.first_guess, tune_products=algorithm != BLOCKED
    )
    database = given.folder / f"schedules-{target.attrs['mcpu']}-{seed}"
    metaschedule.tune(
        rest, target, database,
        trials=given.trials, budget_s=0.0, threads=1, seed=seed,
        report=lambda words, done, total: print(f"  {words} ({done} of {total})", file=sys.stderr, flush=True),
    )  # fmt: skip
    kernels.extend(
        {"name": trial.name, "calls": trial.calls, "tiles": False,
         "seconds": [s if math.isfinite(s) else None for s in trial.seconds]}
        for trial in metaschedule.tries(rest, target, database)
    )  # fmt: skip
    return {
        "trials": given.trials,
        "own_trials": OWN_TRIALS,
        "date": date.today().isoformat(),
        "kernels": kernels,
    }


def figure(document: Mapping[str, Any], path: Path) -> None:
    """Draw the time of each network over that of its best algorithm against the trials of a kernel."""
    rows: list[Row] = []
    for network, algorithms in document.items():
        for algorithm, seeds in algorithms.items():
            trials = min(seed["trials"] for seed in seeds.values())
            for count in range(1, trials + 1):
                times = [best_so_far(seed["kernels"], count) for seed in seeds.values()]
                middle = sorted(times)[len(times) // 2]
                if math.isfinite(middle):
                    rows.append(
                        {"network": f"{network}, {algorithm}", "platform": "", "trials": count, "ms": 1e3 * middle}
                    )  # fmt: skip
    options = ChartOptions(x="trials", y="ms", title="Best kernels so far, by algorithm")
    drawn = charts.get("curves").compute(rows, options).figure()
    axes = drawn.axes[0]
    axes.set_xlabel("trials of each kernel")
    axes.set_ylabel("time of all kernels, ms")
    save(drawn, path)


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = networks_parser(__doc__, NETWORKS)
    add = parser.add_argument
    add("--algorithms", nargs="+", default=list(ALGORITHMS), choices=ALGORITHMS)
    add("--seeds", nargs="+", type=int, default=[1, 2, 3])
    add("--trials", type=int, default=30, help="tries of each kernel")
    add("--folder", type=Path, default=cache_folder() / "tvm-flatness", help="what was tried")
    add(
        "--image",
        type=Path,
        help="the figure; left out, images/tvm_flatness_PROCESSOR.png beside PAGE",
    )
    add("--csv", type=Path, metavar="FILE", help="write the summaries as CSV")
    return parser.parse_args(given)


def main() -> None:
    """Try what is missing, then print, draw and write everything that is there."""
    given = arguments()
    os.environ.setdefault("TVM_NUM_THREADS", "1")
    from roofline.validate.measuring.environment import describe
    from roofline.validate.tvm import setup

    processor = str(setup.local_target(setup.load_tvm(), 1).attrs["mcpu"])
    given.folder.mkdir(parents=True, exist_ok=True)
    file = given.folder / f"curves-{processor}.json"
    for seed in given.seeds:
        for network in given.networks:
            for algorithm in given.algorithms:
                kept = read_kept(file).get(network, {}).get(algorithm, {}).get(str(seed), {})
                if kept.get("trials", 0) >= given.trials:
                    continue
                found = try_all(network, algorithm, seed, given)
                if found is None:
                    print(f"  {network}: {algorithm} applies to no layer", file=sys.stderr)
                    continue
                document = read_kept(file)
                document.setdefault(network, {}).setdefault(algorithm, {})[str(seed)] = found
                write_whole(file, json.dumps(document, indent=1).encode())
    document = read_kept(file)
    rows = [
        summary(network, algorithm, seeds)
        for network, algorithms in document.items()
        for algorithm, seeds in algorithms.items()
    ]
    if not rows:
        raise SystemExit("nothing was tried")
    days = sorted(
        seed["date"]
        for algorithms in document.values()
        for seeds in algorithms.values()
        for seed in seeds.values()
    )
    content = markdown(rows, f"{describe({}, None, None).cpu} (`{processor}`)", days[-1])
    publish(
        given, section(processor), content, rows, lambda image: figure(document, image),
        picture(processor), "Best kernels so far against trials",
    )  # fmt: skip


if __name__ == "__main__":
    main()
