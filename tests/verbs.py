"""Every verb of the command line, by its words: what a test goes over so that a new verb is in it too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from roofline.cli._app import app


def _commands(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "list_commands"):
        yield " ".join(words), command
        return
    context = typer.Context(command)
    for name in command.list_commands(context):
        yield from _commands(command.get_command(context, name), (*words, name))


VERBS = dict(_commands(typer.main.get_command(app)))
