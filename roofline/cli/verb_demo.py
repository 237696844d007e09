"""``roofline demo``: the main job end to end on real networks, in a few minutes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from roofline.cli._groups import command
from roofline.cli._output import as_table, check_writable_folder, emit, say

app = typer.Typer(add_completion=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoOptions:
    """Where the demonstration is written, and how long it may take."""

    output: Annotated[Path, typer.Option("-o", callback=check_writable_folder)] = Path(
        "roofline-demo"
    )
    """Folder for the charts, the tables and the page."""
    minutes: Annotated[float, typer.Option(min=1.0, max=1440.0)] = 3.5
    """About how long it may take."""


@command(app)
def demo(*, options: DemoOptions) -> None:
    """Count, predict on several machines, measure with TVM and ONNX Runtime here, and compare."""
    from roofline.cli._progress import progress
    from roofline.validate.demo.page import comparison_rows, prediction_rows, write_demo
    from roofline.validate.demo.run import run_demo

    with progress("demo") as report:
        found = run_demo(minutes=options.minutes, report=report, remark=_say)
    files = write_demo(found, options.output)
    tables = [
        as_table(
            prediction_rows(found), title="Predicted frames per second (Equation 1, a bound)"
        ),
        as_table(comparison_rows(found), title="Predicted and measured on this machine"),
        as_table([], notes=[*found.notes, f"in {found.seconds:.0f} s; see {files[0]}"]),
    ]
    emit("\n\n".join(tables), None)


def _say(line: str) -> None:
    say(f"  {line}")
