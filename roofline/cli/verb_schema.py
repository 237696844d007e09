"""``roofline schema``: the JSON Schemas of what the verbs write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from roofline.cli._output import emit, output_option
from roofline.errors import check_known

app = typer.Typer(add_completion=False)


@app.command()
def schema(
    *,
    verb: Annotated[
        str | None,
        typer.Argument(
            metavar="VERB", help="predict, count, platforms-list, ...; without it: a list."
        ),
    ] = None,
    every: Annotated[
        Path | None,
        typer.Option("--all", metavar="FOLDER", help="Write all of them into this folder."),
    ] = None,
    output: Annotated[Path | None, output_option("the schema", ".json", ".txt")] = None,
) -> None:
    """Print the JSON Schema of what a verb writes with --format json; its $id names the version."""
    from roofline.cli.documents import DOCUMENTS
    from roofline.cli.documents import schema as schema_of
    from roofline.writing import check_output_folder, write_whole

    if every is not None:
        check_output_folder(every)
        every.mkdir(parents=True, exist_ok=True)
        for name in DOCUMENTS:
            text = json.dumps(schema_of(name), indent=1) + "\n"
            write_whole(every / f"{name}.json", text.encode())
        return
    if verb is None:
        emit("\n".join(DOCUMENTS), output)
        return
    named = check_known(verb, DOCUMENTS, f"no schema is published of {verb!r}")
    emit(json.dumps(schema_of(named), indent=1), output)
