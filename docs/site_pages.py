"""Pages of the site that are made of the program itself when the site is built, so that they cannot fall behind it."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages to those of the folder."""
    from mkdocs.structure.files import File

    for name, page in pages().items():
        files.append(File.generated(config, name, content=page))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Lead from the folder of the operators' rules, which readers of the repository see, to the page made of them."""
    return markdown.replace("](../roofline/ops)", "](counted.md)")


def pages() -> dict[str, str]:
    """Return every generated page by its name."""
    return {
        "index.md": home(),
        "counted.md": counted(),
        "api.md": api(),
        "schemas.md": schemas(),
        **{f"schemas/v{version}/{name}.json": text for version, name, text in schema_files()},
        "changes.md": (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").replace("](docs/", "]("),
    }


def home() -> str:
    """Return the README, its links those of the site."""
    return (ROOT / "README.md").read_text(encoding="utf-8").replace("](docs/", "](")


def counted() -> str:
    """Return the table of operators: what is counted of each, from the sentences of their rules."""
    from roofline.ops import Kind, supported_operators

    said = {
        Kind.COMPUTE: "Arithmetic is counted, and what it reads and writes.",
        Kind.MOVE: "No arithmetic by design; what it copies is counted as traffic.",
        Kind.VIEW: "Neither arithmetic nor a copy by design.",
        Kind.CONTROL: "A container: its bodies are counted instead, as often as they run.",
    }
    rows = list(supported_operators())
    lines = [
        "# What is counted", "",
        f"{len(rows)} operators are known. Every other one is reported by its name, and its network has no bound: "
        "nothing is taken as zero that was not counted. How macs, parameters and bytes are defined stands in "
        "[the model](model.md#what-is-counted).", "",
    ]  # fmt: skip
    for kind, sentence in said.items():
        own = [row for row in rows if row.kind is kind]
        lines += [f"## {kind.value.capitalize()}: {len(own)}", "", sentence, ""]
        if kind is not Kind.COMPUTE:
            lines += [", ".join(f"`{_name(row)}`" for row in own), ""]
            continue
        lines += ["| operator | counted |", "|---|---|"]
        lines += [f"| `{_name(row)}` | {_sentence(row.cost)} |" for row in own]
        lines.append("")
    return "\n".join(lines)


def _name(row: Any) -> str:
    return f"{row.domain}::{row.op_type}" if row.domain else row.op_type


def _sentence(rule: Any) -> str:
    text = rule.__doc__.strip().split("\n\n")[0]
    return " ".join(text.split()).replace("|", "\\|")


def schema_files() -> Iterator[tuple[int, str, str]]:
    """Yield the version, the name and the text of every schema."""
    from roofline.cli._output import SCHEMA_VERSION
    from roofline.cli.documents import DOCUMENTS, schema

    for name in DOCUMENTS:
        yield SCHEMA_VERSION, name, json.dumps(schema(name), indent=1) + "\n"


def schemas() -> str:
    """Return the page on what the verbs write as JSON."""
    lines = [
        "# JSON", "",
        "What a verb writes with `--format json` follows a JSON Schema, which `roofline schema VERB` prints.",
        "Its `$id` and the document's `schema_version` name the version. A document may have more keys than its",
        "schema; a key that a schema requires goes, or changes its meaning, only with a new version. What is not",
        "known, and a number that is not finite, is null; units stand in the keys' names, else they are base units",
        "(B, s, OP/s, W).", "",
        "| verb | schema |", "|---|---|",
    ]  # fmt: skip
    lines += [
        f"| `{name.replace('-', ' ')}` | [{name}.json](schemas/v{version}/{name}.json) |"
        for version, name, _ in schema_files()
    ]
    return "\n".join(lines) + "\n"


def api() -> str:
    """Return the reference of everything that `roofline` names in public, from signatures and docstrings."""
    import roofline

    lines = [
        "# API", "",
        "What `import roofline as rl` gives. Everything else is the program's own and may change.", "",
    ]  # fmt: skip
    for name in roofline.__all__:
        if name.startswith("__"):
            continue
        found = getattr(roofline, name)
        if inspect.isclass(found):
            lines += _class(name, found)
        elif callable(found):
            lines += [f"## {name}", "", *_called(name, found)]
    return "\n".join(lines)


def _class(name: str, found: type) -> list[str]:
    lines = [f"## {name}", "", *_prose(inspect.getdoc(found) or "")]
    if issubclass(found, Enum):
        return [*lines, ", ".join(f"`{member.value}`" for member in found), ""]
    for own, member in vars(found).items():
        if own.startswith("_"):
            continue
        if isinstance(member, property):
            lines += [f"### {name}.{own}", "", *_prose(inspect.getdoc(member) or "")]
        elif inspect.isfunction(member) or isinstance(member, classmethod | staticmethod):
            lines += [f"### {name}.{own}", "", *_called(own, getattr(found, own))]
    return lines


def _called(name: str, found: Any) -> list[str]:
    shown = re.sub(
        r"\b(?:roofline|collections\.abc|typing)\.[\w.]*?(\w+)\b",
        r"\1",
        str(inspect.signature(found)),
    )
    shown = shown.replace("'", "")
    if len(shown) > 70:
        shown = (
            re.sub(r", (?=(?:\*, )?\w+:)", ",\n    ", shown)
            .replace("(", "(\n    ", 1)
            .replace(") ->", ",\n) ->")
        )
    return ["```python", f"{name}{shown}", "```", "", *_prose(inspect.getdoc(found) or "")]


def _prose(text: str) -> list[str]:
    """Return a docstring as Markdown: its sections as lists, its examples as code."""
    lines: list[str] = []
    section = ""
    for line in text.splitlines():
        heading = re.fullmatch(r"(Args|Returns|Raises|Yields|Example):", line)
        if heading is not None:
            if section == "Example":
                lines.append("```")
            section = heading[1]
            lines += [f"**{section}**", "", *(["```python"] if section == "Example" else [])]
            continue
        entry = re.fullmatch(r"    (\**\w+): (.*)", line)
        if section in {"Args", "Raises"} and entry is not None:
            lines.append(f"- `{entry[1]}`: {entry[2]}")
        elif section == "Example":
            lines.append(line[4:])
        else:
            lines.append(line.strip() if section else line)
    return [*lines, *(["```"] if section == "Example" else []), ""]
