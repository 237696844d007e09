"""A progress line on the terminal for long work; silent where standard error is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

Report = Callable[[str, int, int], None]
"""What is being done, how many steps are done, how many there are."""


@contextmanager
def progress(title: str) -> Generator[Report]:
    """Show a bar with what is being done while the body runs.

    Args:
        title: What the whole work is.
    """
    if not sys.stderr.isatty():
        yield lambda _what, _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=24))
    console = Console(stderr=True)
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as bar:
        task = bar.add_task(title, total=None)

        def report(what: str, done: int, total: int) -> None:
            known = total if total > 1 else None
            bar.update(task, description=f"{title}: {what}", completed=done, total=known)

        yield report
