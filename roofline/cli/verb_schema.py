"""``roofline schema``: the JSON Schemas of what the verbs write."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from roofline.cli._groups import command
from roofline.cli._output import emit, output_option
from roofline.errors import check_known

app = typer.Typer(add_completion=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class SchemaOptions:
    """Which schemas are written, and where."""

    verb: Annotated[str | None, typer.Argument(metavar="VERB")] = None
    """predict, count, platforms-list, ...; without it: a list."""
    every: Annotated[Path | None, typer.Option("--all", metavar="FOLDER")] = None
    """Write all of them into this folder."""
    output: Annotated[Path | None, output_option("the schema", ".json", ".txt")] = None


@command(app)
def schema(*, options: SchemaOptions) -> None:
    """Print the JSON Schema of what a verb writes with --format json; its $id names the version."""
    from roofline.cli.documents import DOCUMENTS
    from roofline.cli.documents import schema as schema_of
    from roofline.writing import check_output_folder, write_whole

    every, output = options.every, options.output
    if every is not None:
        check_output_folder(every)
        every.mkdir(parents=True, exist_ok=True)
        for name in DOCUMENTS:
            text = json.dumps(schema_of(name), indent=1) + "\n"
            write_whole(every / f"{name}.json", text.encode())
        return
    if options.verb is None:
        emit("\n".join(DOCUMENTS), output)
        return
    named = check_known(options.verb, DOCUMENTS, f"no schema is published of {options.verb!r}")
    emit(json.dumps(schema_of(named), indent=1), output)
