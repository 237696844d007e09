"""``python -m roofline.validate.digits``: runs the whole experiment on this machine."""

from __future__ import annotations

import csv
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from roofline.errors import RooflineError
from roofline.validate.digits.experiment import Plan, make_all, measure_all, rows
from roofline.validate.digits.results import ELSEWHERE, figures


def run(
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="Folder for models, records, results and figures."),
    ] = Path("digits"),
    machine: Annotated[
        str,
        typer.Option("--machine", help="Calibrated file of this machine; else it is calibrated."),
    ] = "",
    epochs: Annotated[
        int, typer.Option("--epochs", min=1, help="Passes over the training images.")
    ] = Plan().epochs,
    trials: Annotated[
        int, typer.Option("--trials", min=0, help="Schedules TVM tries per kernel; 0: no TVM.")
    ] = Plan().trials,
    budget_s: Annotated[
        float, typer.Option("--budget-s", min=0, help="Seconds that tuning one variant may take.")
    ] = Plan().budget_s,
) -> None:
    """Train, compress, evaluate, predict and measure; run it again to go on where it ended."""
    from roofline.spec import platform
    from roofline.validate.calibrate import calibrate, platform_yaml
    from roofline.validate.digits.data import load

    start = time.monotonic()

    def said(line: str) -> None:
        typer.echo(f"{time.monotonic() - start:7.1f} s  {line}")

    output.mkdir(parents=True, exist_ok=True)
    plan = Plan(epochs=epochs, trials=trials, budget_s=budget_s)
    made = make_all(plan, load(), output / "models", said)
    file = output / "this-machine.yaml"
    if machine:
        file = Path(machine)
    elif not file.exists():
        file.write_text(platform_yaml(calibrate(threads=[1]), "this-machine"), encoding="utf-8")
        said("calibrated this machine for one thread")
    here = platform(str(file))
    runs = measure_all(made, here, plan, output, said)
    table = rows(made, runs, here, [platform(key) for key in ELSEWHERE])
    with (output / "results.csv").open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, list(table[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)
    for name in figures(table, here.key, output):
        said(f"drew {name}")
    said(f"{len(table)} results in {output / 'results.csv'}")


def main() -> None:
    """Run the command; bad input is one line and exit code 2."""
    command = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    command.command()(run)
    try:
        command()
    except RooflineError as error:
        sys.stderr.write(f"roofline: error: {error}\n")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
