"""Ship a run of the digits experiment: results, machine, figures, the numbers of `docs/digits.md`, and the notebook.

Run: python benchmarks/digits_page.py FOLDER     after  python -m roofline.validate.studies.digits -o FOLDER
     python benchmarks/digits_page.py            writes page and notebook again from the shipped results

Give a machine's file of your own (--machine) after the folder. The notebook needs nbclient and ipykernel.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from roofline.markdown import markdown_records, with_section
from roofline.spec import Platform, platform
from roofline.validate.studies.digits import results
from roofline.validate.studies.digits.experiment import BATCHES

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/digits.md"
NOTEBOOK = ROOT / "notebooks/05_compression_pareto.ipynb"
SHIPPED = ROOT / "validate/studies/digits"
FIGURES = ("speedup-batch-64.png", "pareto-batch-64.png", "pareto-batch-1.png")
NETWORKS = {"digits_mlp": "MLP", "digits_cnn": "CNN"}
BATCH = BATCHES[-1]

Row = Mapping[str, Any]


def sections(rows: Sequence[Row], machine: Platform) -> dict[str, str]:
    """Return the generated sections of the page by name."""
    return {
        "machine": machine_line(rows, machine),
        "accuracy": accuracies(rows),
        "speed": speeds(rows, machine.key),
        "fronts": fronts(rows, machine.key),
        **{
            f"table {batch}": markdown_records(results.summary(rows, machine.key, batch))
            for batch in BATCHES
        },
    }


def fill_sections(page: str, parts: Mapping[str, str]) -> str:
    """Return the page with the text between each section's marks replaced."""
    for name, text in parts.items():
        page = with_section(page, f"{text}\n", f"<!-- begin {name} -->", f"<!-- end {name} -->")
    return page


def machine_line(rows: Sequence[Row], machine: Platform) -> str:
    """Return what the results were measured on, and how disturbed."""
    runs = [row for row in rows if row["backend"]]
    disturbed = sum("disturbed" in (row["flags"] or "") for row in runs)
    failed = sum(row["status"] != "ok" for row in runs)
    trials = sorted({row["trials"] for row in runs if row["trials"]})
    tuned = f", TVM with {_and(trials)} schedules tried per kernel" if trials else ""
    peaks = f"{machine.peak('fp32') / 1e9:.0f} GFLOP/s in fp32, {machine.peak('int8') / 1e9:.0f} GOP/s in int8"
    return (
        f"The shipped results: one core of {machine.name}, calibrated to {peaks} and "
        f"{machine.bandwidth / 1e9:.1f} GB/s; {len(runs)} runs{tuned}. "
        f"{_count(failed)} failed; in {_count(disturbed).lower()} others took more of the machine's time than stays "
        "unnoticed, as the column `flags` says."
    )


def accuracies(rows: Sequence[Row]) -> str:
    """Return what compression did to the accuracy."""
    lines: list[str] = []
    for network, name in NETWORKS.items():
        own = _variants(rows, network)
        dense = own["dense"]["accuracy"]
        same = [
            key for key, row in own.items() if row["accuracy_high"] >= dense and key != "dense"
        ]
        lost = [
            f"{key} ({row['accuracy']:.1f} %)"
            for key, row in own.items()
            if row["accuracy_high"] < dense
        ]
        interval = f"{own['dense']['accuracy_low']:.1f} to {own['dense']['accuracy_high']:.1f}"
        lines.append(
            f"- {name}: the dense network is right in {dense:.1f} % of {own['dense']['items']} images "
            f"({interval}). No loss that they could show: "
            f"{_and(same) or 'none'}. A loss: {_and(lost) or 'none'}."
        )
    rounded, trained = (
        [_variants(rows, network)[key]["accuracy"] for network in NETWORKS]
        for key in ("w2a32", "w2a32_trained")
    )
    lines.append(
        f"- Ternary weights rounded after training leave {_pair(rounded, '.1f', ' %')}; trained as ternary, "
        f"{_pair(trained, '.1f', ' %')}."
    )
    zeros = [_variants(rows, network)["w2a32"]["zero_share"] * 100 for network in NETWORKS]
    lines.append(
        f"- Rounding to ternary at the largest magnitude's scale makes {_pair(zeros, '.0f', ' %')} of the weights zero."
    )
    return "\n".join(lines)


def speeds(rows: Sequence[Row], machine: str) -> str:
    """Return what was promised, what Equation 1 gives and what ONNX Runtime achieved, with 64 images."""
    found = [
        f"| {what} | {key} | {name} | {row['expected_speedup']:.3g}x | {row['predicted_speedup']:.3g}x "
        f"| {row['achieved_speedup']:.3g}x |"
        for what, key in (
            ("half of the channels", "channels_0.5"), ("an eighth of the channels", "channels_0.125"),
            ("nine in ten weights zero", "sparsity_0.9"), ("int8", "int8"), ("int4 weights", "w4a32"),
            ("ternary weights", "w2a32_trained"), ("half of the channels, int8", "channels_0.5_int8"),
        )
        for network, name in NETWORKS.items()
        for row in [_run(rows, machine, network, key, BATCH)]
    ]  # fmt: skip
    shares = {
        batch: [
            row["efficiency"]
            for row in results.select_fastest(rows, machine, batch)
            if row["efficiency"]
        ]
        for batch in BATCHES
    }
    above = [
        row for row in rows if row["efficiency"] and row["efficiency"] > 1 and row["explanation"]
    ]
    reached = [
        f"with {batch} {'image' if batch == 1 else 'images'} {100 * min(own):.2g} to {100 * max(own):.3g} %"
        for batch, own in shares.items()
    ]
    header = "| what | variant | network | promised | Equation 1 | ONNX Runtime |\n|---|---|---|---|---|---|"
    return (
        f"{header}\n" + "\n".join(found) + "\n\n"
        f"The fastest program of each variant reaches, of the bound of Equation 1, {_and(reached)}. "
        f"{_count(len(above))} of the runs are faster than the bound, and the column `explanation` says why."
    )


def fronts(rows: Sequence[Row], machine: str) -> str:
    """Return which variants nothing beats, as predicted and as measured."""
    lines: list[str] = []
    for batch in BATCHES:
        chart = results.pareto(rows, machine, batch)
        theory, practice = (
            [entry.label for entry in chart.frontier(series)]
            for series in ("theoretical", "measured")
        )
        both = [label for label in theory if label in practice]
        lines.append(
            f"- Batch {batch}: predicted {_and(theory)}. Measured {_and(practice)}. "
            f"{len(both)} of the {len(theory)} predicted are on the measured front."
        )
    return "\n".join(lines)


def publish(folder: Path, machine: Path | None = None) -> None:
    """Copy a run's results, machine and figures to where they are shipped."""
    copies = {
        folder / "results.csv": SHIPPED / "results.csv",
        machine or folder / "this-machine.yaml": SHIPPED / "machine.yaml",
        **{folder / name: ROOT / "docs/images" / f"digits_{name}" for name in FIGURES},
    }
    missing = [str(source) for source in copies if not source.is_file()]
    if missing:
        sys.exit(f"no finished run: {', '.join(missing)} missing")
    for source, target in copies.items():
        shutil.copyfile(source, target)


def _variants(rows: Sequence[Row], network: str) -> dict[str, Row]:
    return {row["variant"]: row for row in rows if row["network"] == network}


def _run(rows: Sequence[Row], machine: str, network: str, variant: str, batch: int) -> Row:
    wanted = (machine, network, variant, batch, "onnxruntime")
    fields = ("platform", "network", "variant", "batch", "backend")
    return next(row for row in rows if tuple(row[name] for name in fields) == wanted)


def _pair(values: Iterable[float], form: str, unit: str) -> str:
    return _and(
        [
            f"{value:{form}}{unit} ({name})"
            for value, name in zip(values, NETWORKS.values(), strict=True)
        ]
    )


def _and(words: Iterable[Any]) -> str:
    texts = [str(word) for word in words]
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def _count(number: int) -> str:
    return "None" if number == 0 else f"{number}"


def main(arguments: Sequence[str]) -> None:
    """Ship the run in the given folder, if one is given, and write the page."""
    if arguments:
        publish(*(Path(argument) for argument in arguments[:2]))
    machine = platform(str(results.machine_file()))
    parts = sections(results.shipped_results(), machine)
    PAGE.write_text(fill_sections(PAGE.read_text(encoding="utf-8"), parts), encoding="utf-8")
    print(f"wrote {len(parts)} sections of {PAGE.relative_to(ROOT)}")
    if importlib.util.find_spec("nbclient") is None:
        print(
            f"nbclient is not installed: {NOTEBOOK.relative_to(ROOT)} still shows the results before"
        )
        return
    from run_notebook import run_notebook

    run_notebook(NOTEBOOK)
    print(f"ran {NOTEBOOK.relative_to(ROOT)}")


if __name__ == "__main__":
    main(sys.argv[1:])
