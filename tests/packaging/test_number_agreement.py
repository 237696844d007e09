"""Counts agree with their nouns and shares read as numbers, wherever a line is put together."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("roofline", "platforms", "workloads", "validate")
STUDIES = ROOT / "validate" / "studies"
"""Pages of the papers, whose counts are those of published tables."""

COUNTED = (
    "axes|channels|choices|classes|combinations|convolutions|cores|dimensions|elements|entries|figures|filters|groups|"
    "inputs|integers|items|kernels|labels|layers|loops|machines|models|networks|nodes|operands|outputs|parameters|"
    "points|predictions|probes|records|results|rows|runs|samples|scores|shapes|sizes|steps|threads|tiles|trials|values|"
    "weights"
)
BEHIND = re.compile(
    rf" (?:more |query |key |output |input |positive |symbolic |stored )?({COUNTED})\b"
)
CONSTANT = re.compile(r"_?[A-Z][A-Z_]+|[2-9] \* .*")
"""What is never one."""
VERB = re.compile(r" (are|have|were|do|fall|stay|need|differ|take|hold|run)\b")
"""What follows a count of several and no count of one."""
NOUN = re.compile(r"plural\([^,]+, '[^']+'\)", re.DOTALL)
"""A count with a noun whose verb is not given with it."""
WORDS = re.compile(
    r".*(op_type|name|path|label|title|where|show|approximately|number|key|found)\b.*|plural\(.*"
)
"""What is no count, or agrees already."""
POWERS_OF_TEN = re.compile(r"[,+]?(\.\d+)?[gG]?|e|E")


def breaches(source: str) -> Iterator[tuple[int, str]]:
    """Yield lines where a count is put before a plural, or a share is written so that it may be a power of ten."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.JoinedStr):
            continue
        for value, text in zip(node.values, node.values[1:], strict=False):
            if not isinstance(value, ast.FormattedValue) or not isinstance(text, ast.Constant):
                continue
            what = ast.unparse(value.value)
            form = ast.unparse(value.format_spec)[2:-1] if value.format_spec else ""
            found = BEHIND.match(str(text.value))
            counted = value.conversion == -1 and form in {"", ","}
            if found and counted and not CONSTANT.fullmatch(what) and not WORDS.fullmatch(what):
                yield node.lineno, f"{{{what}}} {found[1]}"
            verb = VERB.match(str(text.value))
            if verb and NOUN.fullmatch(what):
                yield node.lineno, f"{{{what}}} {verb[1]}"
            share = re.match(r"100 \*|.* \* 100\b", what) and re.match(r" ?%", str(text.value))
            if share and POWERS_OF_TEN.fullmatch(form):
                yield node.lineno, f"{{{what}:{form}}}%"


@pytest.mark.parametrize(
    "source",
    [
        'f"{len(kernels)} kernels"', 'f"{count:,} more layers"', 'f"{100 * x:.3g}%"', 'f"{100 * x:g} %"',
        'f"{100 * x}%"', "f\"{plural(len(left), 'run')} are left\"",
    ],
)  # fmt: skip
def test_what_may_disagree_is_seen(source: str) -> None:
    assert list(breaches(source))


@pytest.mark.parametrize(
    "source",
    [
        "f\"{plural(count, 'kernel')}\"",
        "f\"{plural(count, 'run is', 'runs are')} left\"",
        'f"{MAX_LAYERS} layers"',
        'f"{100 * x:.1f} %"',
        'f"{x:.1%}"',
    ],
)
def test_what_agrees_is_let_be(source: str) -> None:
    assert not list(breaches(source))


def test_counts_agree_and_shares_read_as_numbers() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line} {text}"
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        if STUDIES not in path.parents
        for line, text in breaches(path.read_text(encoding="utf-8"))
    ]
    assert not found
