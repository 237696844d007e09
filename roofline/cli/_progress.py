"""A progress line on the terminal for long work; silent where standard error is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager

from roofline.errors import one_line
from roofline.progress import Report, tell_nobody


@contextmanager
def progress(title: str) -> Generator[Report]:
    """Show a bar with what is being done while the body runs.

    Args:
        title: What the whole work is.
    """
    if not sys.stderr.isatty():
        yield tell_nobody
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
    )
    console = Console(stderr=True)
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as bar:
        task = bar.add_task(one_line(title, 100), total=None)

        def report(what: str, done: int, total: int) -> None:
            known = total if total > 1 else None
            bar.update(
                task, description=one_line(f"{title}: {what}", 100), completed=done, total=known
            )

        yield report
