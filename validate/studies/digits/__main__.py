"""``python -m roofline.validate.studies.digits``: runs the whole experiment on this machine."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roofline.errors import RooflineError
from roofline.validate.studies.digits.experiment import (
    Plan,
    Say,
    check_packages,
    make_all,
    measure_all,
    rows,
)
from roofline.validate.studies.digits.results import ELSEWHERE, figures
from roofline.writing import csv_text, write_whole

if TYPE_CHECKING:
    from roofline.spec import Platform

MACHINE = "this-machine"
"""Key of the calibrated machine, and name of its file in the folder."""


def run(
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="Folder for models, records, results and figures."),
    ] = Path("digits"),
    machine: Annotated[
        str,
        typer.Option(
            "--machine",
            help="Platform file of this machine on one thread; without it, it is calibrated.",
        ),
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
    """Train, compress, evaluate, predict and measure two classifiers of handwritten digits.

    Run it again over the same folder to go on where it ended: networks, the machine's calibration and runs that ended
    well are kept. Delete records.db to measure again, this-machine.yaml to calibrate again, models to train again.

    Writes results.csv (accuracy, predicted and measured throughput) and figures (pareto-batch-N.png,
    speedup-batch-N.png). Takes minutes with --trials 0, half an hour with TVM. Needs the extras experiments,
    validate and plot: pip install 'roofline[experiments,validate,plot]'.
    """
    from roofline.spec import platform
    from roofline.validate.studies.digits.data import load

    start = time.monotonic()

    def say(line: str) -> None:
        typer.echo(f"{time.monotonic() - start:7.1f} s  {line}")

    plan = Plan(epochs=epochs, trials=trials, budget_s=budget_s)
    check_packages(plan)
    elsewhere = [platform(key) for key in ELSEWHERE]
    # A file that cannot be read is known before the training.
    here = platform(machine) if machine else None
    output.mkdir(parents=True, exist_ok=True)
    made = make_all(plan, load(), output / "models", say)
    here = here or _calibrate(output / f"{MACHINE}.yaml", say)
    runs = measure_all(made, here, plan, output, say)
    table = rows(made, runs, here, elsewhere)
    write_whole(output / "results.csv", csv_text(table).encode())
    for name in figures(table, here.key, output):
        say(f"drew {name}")
    say(f"{len(table)} results in {output / 'results.csv'}")


def _calibrate(file: Path, say: Say) -> Platform:
    from roofline.spec import platform
    from roofline.validate.calibration.calibrate import calibrate, platform_yaml, warnings

    if not file.exists():
        roofs = calibrate(threads=[1])
        write_whole(file, platform_yaml(roofs, MACHINE).encode())
        say("; ".join(["calibrated this machine for one thread", *warnings(roofs)]))
    return platform(str(file))


def main() -> None:
    """Run the command; bad input is one line and exit code 2."""
    command = typer.Typer(
        add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
    )
    command.command()(run)
    try:
        command()
    except RooflineError as error:
        sys.stderr.write(f"roofline: error: {error.line()}\n")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
