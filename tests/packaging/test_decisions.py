"""No decision is made by searching a sentence: words for people are written, never read back or written over."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("roofline", "validate", "workloads", "platforms", "benchmarks")

FOR_PEOPLE = {
    "caption", "description", "explanation", "flag", "flags", "hint", "label", "message", "note", "notes", "reason",
    "remark", "remarks", "repair", "sentence", "title", "warning", "why",
}  # fmt: skip
"""What fields and variables are called that hold words for people."""

SEARCHES = {
    "count", "endswith", "find", "index", "partition", "removeprefix", "removesuffix", "rpartition", "rsplit", "split",
    "startswith",
}  # fmt: skip
"""Methods of a text that look for another one in it."""

READ_BACK = {
    ("roofline/chart/efficiency.py", 'bar.label.split("\\n")'): "the lines of a label, to place it",
    ("roofline/chart/orthogonality.py", 'label.replace(" ", "\\n")'): "a label in several lines",
    ("validate/records/migration.py", 'text.partition(", of ")'): "a field of records before its parts were data",
    ("validate/records/migration.py", '", emulated: " in text'): "the same",
    ("validate/records/importers/openvino.py", '"Execution results" in head'): "the heading of another tool's report",
    ("roofline/spec/detecting.py", '(run(["nvpmodel", "-q"]) or "").partition("NV Power Mode:")'): "a tool's answer",
    ("validate/measuring/process.py", "line.startswith('File \"')"): "Python's own traceback",
    ("validate/studies/qutibench/runs.py", 'flags.split("; ")'): "a cell of a table",
}  # fmt: skip
"""Places that read words for people on purpose, and whose they are."""


def _texts(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        for entry in node.elts:
            yield from _texts(entry)


def _sentence(node: ast.expr) -> bool:
    """Whether a literal has words with blanks between them."""
    return any(" " in text.strip() for text in _texts(node))


def _for_people(node: ast.expr) -> bool:
    name = node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")
    return name in FOR_PEOPLE


def searched(tree: ast.AST) -> Iterator[ast.expr]:
    """Yield the expressions that look for words in words for people, or for a sentence in anything."""
    for node in ast.walk(tree):
        match node:
            case ast.Compare(left=left, ops=[ast.In() | ast.NotIn()], comparators=[where]):
                if any(_texts(left)) and (_for_people(where) or _sentence(left)):
                    yield node
            case ast.Compare(left=left, ops=[ast.Eq() | ast.NotEq()], comparators=[right]):
                for known, text in ((left, right), (right, left)):
                    if any(_texts(known)) and _for_people(text):
                        yield node
            case ast.Call(func=ast.Attribute(value=ast.Name(id="re")), args=[_, *texts]):
                if any(map(_for_people, texts)):
                    yield node
            case ast.Call(
                func=ast.Attribute(value=text, attr="replace" | "sub"), args=[_, *texts]
            ):
                # Written anew by what stands in it: a message is built from what it is about.
                if any(map(_for_people, (text, *texts))):
                    yield node
            case ast.Call(func=ast.Attribute(value=where, attr=method), args=[words, *_]):
                if (
                    method in SEARCHES
                    and any(_texts(words))
                    and (_for_people(where) or _sentence(words))
                ):
                    yield node


def found(path: Path) -> set[tuple[str, str]]:
    """Return the file and the expression of each search in it."""
    text = path.read_text()
    return {
        (str(path.relative_to(ROOT)), ast.get_source_segment(text, node) or "")
        for node in searched(ast.parse(text))
    }


def test_no_decision_is_made_by_searching_a_sentence() -> None:
    every = {
        entry
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        for entry in found(path)
    }
    assert every == set(READ_BACK)


@pytest.mark.parametrize(
    "code",
    [
        'next(note for note in notes if "does not fit" in note)',
        'record.reason == "killed"',
        'flag.startswith("disturbed")',
        '"emulated" in run.label',
        'str(error).endswith("left on device")',
        're.search(r"\\d+", self.reason)',
        're.sub(r"\\w+", renamed, error.repair)',
        'repair.replace(str(EMULATE), "emulate: true")',
        'if "No space left" not in str(error): pass',
    ],
)
def test_every_way_of_searching_is_seen(code: str) -> None:
    assert list(searched(ast.parse(code)))


@pytest.mark.parametrize(
    "code", ['name.startswith("matmul.")', 'note != ""', '"=" in text', "reason in known"]
)
def test_keys_are_no_sentences(code: str) -> None:
    assert not list(searched(ast.parse(code)))
