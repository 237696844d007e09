"""TVM untuned, TVM tuned and ONNX Runtime on this machine: times of one run, round by round, and their ratios.

    python benchmarks/tvm_ladder.py --platform quiet.yaml --write docs/tvm.md
    python benchmarks/tvm_ladder.py -d int8 --write docs/tvm.md
    python benchmarks/tvm_ladder.py --algorithms resnet18_cifar10 --trials 8 --write docs/tvm.md

Everything is compiled and tuned first, and kept. Then every round times each network with each contestant, one after
the other, each in a process of its own. A ratio is the median of the rounds' ratios, a time the median of the rounds'
medians; what disturbed any round stands beside it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import roofline
from roofline.cli._output import as_csv
from roofline.markdown import markdown_table, with_section
from roofline.spec.thread_modes import mode_name
from roofline.user_folders import cache_folder
from roofline.validate.measuring.compressed_model import write
from roofline.validate.measuring.measure import measure
from roofline.validate.records.compression import Compression
from roofline.validate.records.flag import FlagKind
from roofline.validate.records.record import Measurement
from roofline.validate.records.request import Protocol, RunRequest
from roofline.validate.records.tuning import Tuning
from roofline.writing import write_whole

NETWORKS = ("mlp", "cnv", "mobilenet_v1", "resnet50")
ALGORITHMS = ("direct", "gemm", "spatial_pack", "winograd", "best", "blocked")
CEILING = "ONNX Runtime"


@dataclass(frozen=True)
class Contestant:
    """One way to run a network."""

    name: str
    backend: str
    tuning: Tuning = Tuning.BACKEND_DEFAULT
    algorithm: str = "default"


LADDER = (
    Contestant("untuned", "tvm", Tuning.UNTUNED),
    Contestant("tuned", "tvm", Tuning.TUNED),
    Contestant(CEILING, "onnxruntime"),
)

Rounds = Mapping[str, Sequence[Measurement]]
"""The records of each contestant, one per round."""


def time_contestants(
    network: str, contestants: Sequence[Contestant], given: argparse.Namespace
) -> Rounds:
    """Prepare all contestants, then time them in turns."""
    compression = Compression(datatypes=(given.datatype,) if given.datatype else ())
    model = network
    if not compression.nothing:
        model = str(write(network, compression, cache_folder()))
    protocol = Protocol(sampling_s=given.sampling_s, time_limit_s=600.0)
    base = RunRequest(
        "", threads=given.threads, trials=given.trials, compression=compression, protocol=protocol
    )

    def run(contestant: Contestant, options: RunRequest) -> Measurement:
        asked = replace(options, tuning=contestant.tuning, algorithm=contestant.algorithm)
        return measure(replace(asked, network=model, backend=contestant.backend))

    runs: dict[str, list[Measurement]] = {}
    for contestant in contestants:
        first = run(contestant, replace(base, protocol=replace(protocol, runs=1, sampling_s=0.0)))
        preparation = f"prepared in {(first.compile_s or 0) + (first.tune_s or 0):.0f} s"
        print(
            f"  {network}, {contestant.name}: {preparation if first.ok else first.reason}",
            file=sys.stderr,
        )
        runs[contestant.name] = [] if first.ok else [first]
    for turn in range(given.rounds):
        for contestant in contestants:
            if runs[contestant.name] and not runs[contestant.name][-1].ok:
                continue
            runs[contestant.name].append(run(contestant, base))
        print(f"  {network}: round {turn + 1} of {given.rounds}", file=sys.stderr)
    return runs


def milliseconds(runs: Sequence[Measurement]) -> str:
    """Return the median of the rounds' medians, or why there is none."""
    if not runs[-1].ok:
        return f"{runs[-1].status.value}: {runs[-1].reason}"
    return f"{1e3 * statistics.median(run.median_s or 0.0 for run in runs):.3g}"


def ratio(runs: Sequence[Measurement], ceiling: Sequence[Measurement]) -> str:
    """Return how many times the ceiling's time it takes: the median of the rounds, and their extremes."""
    if not (runs and ceiling and runs[-1].ok and ceiling[-1].ok):
        return "–"
    found = [
        run.median_s / other.median_s
        for run, other in zip(runs, ceiling, strict=True)
        if run.median_s and other.median_s
    ]
    return f"{statistics.median(found):.3g} ({min(found):.3g}–{max(found):.3g})"


def flags(rounds: Rounds) -> str:
    """Return what is doubtful about each contestant, and in how many rounds."""
    counts: Counter[tuple[str, str]] = Counter(
        (name, flag.kind.value)
        for name, runs in rounds.items()
        for run in runs
        for flag in run.flags
        if flag.kind is not FlagKind.UNTUNED
    )
    parts = [
        f"{name} {flag} ({count} of {len(rounds[name])})" for (name, flag), count in counts.items()
    ]
    return "; ".join(parts) or "none"


def ladder(found: Mapping[str, Rounds], platform: str, given: argparse.Namespace) -> str:
    """Return the ladder as a Markdown table."""
    machine = _machine(platform, given.threads)
    shares = ["tuned, share of peak", f"{CEILING}, share of peak"] if machine else []
    header = [
        "network", "untuned, ms", "tuned, ms", f"{CEILING}, ms", f"tuned / {CEILING}", f"untuned / {CEILING}",
        *shares, "runs in", "flags",
    ]  # fmt: skip
    rows: list[list[str]] = []
    for network, rounds in found.items():
        ceiling = rounds[CEILING]
        row = [network, *(milliseconds(rounds[contestant.name]) for contestant in LADDER)]
        row += [ratio(rounds["tuned"], ceiling), ratio(rounds["untuned"], ceiling)]
        if machine:
            row += [_share(network, rounds[name], machine) for name in ("tuned", CEILING)]
        rows.append([*row, rounds["tuned"][-1].executed.label or "–", flags(rounds)])
    return f"{_lead(found, given)}{markdown_table(header, rows, numbers_from=1)}\n"


def algorithms(network: str, rounds: Mapping[str, Rounds], given: argparse.Namespace) -> str:
    """Return algorithm against tuning as a Markdown table, and which layer got what under ``best``."""
    header = [
        "algorithm", "untuned, ms", "tuned, ms", f"tuned / {CEILING}", "untuned / tuned", "tuning, s",
        "kernels untuned", "flags",
    ]  # fmt: skip
    runs = rounds[network]
    ceiling = runs[CEILING]
    rows: list[list[str]] = []
    for name in ALGORITHMS:
        plain, tuned = runs[f"{name} untuned"], runs[f"{name} tuned"]
        both = {key: runs[key] for key in (f"{name} untuned", f"{name} tuned")}
        tune_s = tuned[-1].tune_s
        rows.append([
            f"`{name}`", milliseconds(plain), milliseconds(tuned), ratio(tuned, ceiling), ratio(plain, tuned),
            "–" if tune_s is None else f"{tune_s:.0f}", str(len(tuned[-1].untuned_kernels)), flags(both),
        ])  # fmt: skip
    closing = "".join(f"\n`best`, {note}.\n" for note in runs["best tuned"][-1].notes)
    lead = _lead(rounds, given)
    text = f"{network}, {CEILING} {milliseconds(ceiling)} ms, {given.trials} trials for each kernel.\n\n"
    return f"{lead}{text}{markdown_table(header, rows, numbers_from=1)}\n{closing}"


def into_page(page: Path, name: str, content: str) -> None:
    """Put a table between its markers on a page.

    Raises:
        OptionError: The page has no such markers.
    """
    text = page.read_text(encoding="utf-8")
    made = with_section(text, f"\n{content}\n", f"<!-- {name} -->", f"<!-- /{name} -->")
    write_whole(page, made.encode())


def publish(
    given: argparse.Namespace,
    name: str,
    content: str,
    rows: Sequence[Mapping[str, Any]],
    draw: Callable[[Path], None],
    picture: str,
    caption: str,
) -> None:
    """Print a table, write its rows as CSV, draw its figure, and put both on the page, where each is asked for.

    Args:
        given: ``csv``, ``image`` and ``write`` of the command line.
        name: Of the markers on the page.
        content: The table.
        rows: What it shows.
        draw: Writes the figure to a path.
        picture: Name of the figure's file where only the page is given; it lies in ``images`` beside that.
        caption: Of the figure.
    """
    print(content)
    if given.csv:
        write_whole(given.csv, as_csv(rows).encode())
    image = given.image
    if image is None and given.write:
        image = given.write.parent / "images" / picture
    if image:
        draw(image)
    if given.write:
        into_page(given.write, name, f"{content}\n![{caption}](images/{image.name})\n")


def _lead(found: Mapping[str, Rounds], given: argparse.Namespace) -> str:
    runs = [run for rounds in found.values() for series in rounds.values() for run in series]
    here, versions = runs[0].environment, {}
    for run in runs:
        versions.update(run.environment.versions)
    programs = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    threads = "1 thread" if given.threads == 1 else f"{given.threads} threads"
    return (
        f"{here.cpu}, {threads}, {given.rounds} rounds, {runs[0].timestamp[:10]}; {programs}. "
        "Ratios: median (least–greatest) of the rounds.\n\n"
    )


def _machine(platform: str, threads: int) -> roofline.Platform | None:
    if not platform:
        return None
    return roofline.platform(platform if ":" in platform else f"{platform}:{mode_name(threads)}")


def _share(network: str, runs: Sequence[Measurement], machine: roofline.Platform) -> str:
    run = runs[-1]
    if not run.ok or not machine.has(run.operands):
        return "–"
    seconds = statistics.median(run.median_s or 0.0 for run in runs)
    return f"{2 * roofline.load(network).macs / seconds / machine.peak(run.operands):.0%}"


def networks_parser(description: str | None, networks: Iterable[str]) -> argparse.ArgumentParser:
    """Return a parser of which networks are measured, and of the page that tells it."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", nargs="*", default=list(networks), metavar="NETWORK")
    parser.add_argument(
        "--write", type=Path, metavar="PAGE", help="put the table between its markers on this page"
    )
    return parser


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = networks_parser(__doc__, NETWORKS)
    add = parser.add_argument
    add("--algorithms", metavar="NETWORK", help="algorithm against tuning for one network instead")
    add(
        "--datatype",
        "-d",
        default="",
        help="int8: the networks as quantized by `roofline compress`",
    )
    add("--threads", type=int, default=1)
    add("--trials", type=int, default=16, help="schedules for each kernel that MetaSchedule tunes")
    add("--rounds", type=int, default=3)
    add("--sampling-s", type=float, default=3.0, help="seconds of timing in each round")
    add("--platform", default="", help="file that `roofline calibrate` wrote on this machine")
    add("--records", type=Path, metavar="FILE", help="write every record as JSON")
    return parser.parse_args(given)


def marker(given: argparse.Namespace) -> str:
    """Return the name of the markers on the page for what is asked."""
    kind = "algorithms" if given.algorithms else "ladder"
    datatype = f" {given.datatype}" if given.datatype else ""
    return kind + datatype + (f" {given.threads} threads" if given.threads > 1 else "")


def main() -> None:
    """Measure, print the table, and put it on the page when asked."""
    given = arguments()
    _machine(given.platform, given.threads)
    contestants, networks = LADDER, given.networks
    if given.algorithms:
        networks = [given.algorithms]
        contestants = (
            *(
                Contestant(f"{name} {tuning}", "tvm", tuning, name)
                for name in ALGORITHMS
                for tuning in ("untuned", "tuned")
            ),
            LADDER[-1],
        )
    found = {network: time_contestants(network, contestants, given) for network in networks}
    content = (
        algorithms(given.algorithms, found, given)
        if given.algorithms
        else ladder(found, given.platform, given)
    )
    print(content)
    if given.records:
        records = [
            run.to_dict() for rounds in found.values() for runs in rounds.values() for run in runs
        ]
        write_whole(given.records, json.dumps(records).encode())
    if given.write:
        into_page(given.write, marker(given), content)


if __name__ == "__main__":
    main()
