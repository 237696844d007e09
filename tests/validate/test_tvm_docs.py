"""The page about TVM: its commands parse, its tables have their markers, its names are the program's."""

from __future__ import annotations

import importlib
import importlib.util
import re
import shlex
import sys
from pathlib import Path
from types import ModuleType

import pytest

from roofline.errors import OptionError
from roofline.markdown import markdown_table

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tvm.md").read_text(encoding="utf-8")
COMMANDS = [
    line.split("  #")[0].strip()
    for block in re.findall(r"^```\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    for line in block.splitlines()
]


def script(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return a benchmark as it is imported when run as a script: with its folder on the path."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module(name)


@pytest.mark.parametrize("command", [line for line in COMMANDS if line.startswith("roofline ")])
def test_verbs_know_their_options(command: str) -> None:
    import typer

    _, verb, *rest = shlex.split(command)
    module = importlib.import_module(f"roofline.cli.verb_{verb}")
    made = typer.main.get_command(module.app)
    # Parses and converts every option; runs nothing.
    context = made.make_context(verb, rest)
    assert context.params
    algorithm = context.params.get("algorithm")
    if algorithm:
        from roofline.validate.tvm.plan import ALGORITHMS

        assert algorithm in ALGORITHMS


@pytest.mark.parametrize("command", [line for line in COMMANDS if line.startswith("python ")])
def test_scripts_know_their_options(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _, path, *rest = shlex.split(command)
    assert (ROOT / path).is_file()
    module = script(Path(path).stem, monkeypatch)
    if module.__name__ == "tvm_tiles":
        assert not rest[0].startswith("-")
        return
    given = module.arguments(rest)
    if given.write and module.__name__ == "tvm_ladder":
        assert f"<!-- {module.marker(given)} -->\n" in PAGE


def test_every_command_is_one_that_is_checked() -> None:
    assert COMMANDS
    assert {line.split()[0] for line in COMMANDS} == {"roofline", "python"}


def test_markers_come_in_pairs() -> None:
    names = re.findall(r"^<!-- (?!/)(.*) -->$", PAGE, re.MULTILINE)
    assert {"ladder", "ladder int8", "curve", "algorithms"} <= set(names)
    for name in names:
        assert PAGE.count(f"<!-- {name} -->\n") == PAGE.count(f"<!-- /{name} -->\n") == 1


def test_every_algorithm_is_described() -> None:
    from roofline.validate.tvm.plan import ALGORITHMS

    described = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    assert set(ALGORITHMS) - {"default"} <= described


def test_a_table_goes_between_its_markers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ladder = script("tvm_ladder", monkeypatch)
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- x y -->\nold\n<!-- /x y -->\nb\n<!-- x -->\n<!-- /x -->\n")
    ladder.into_page(page, "x y", markdown_table(["n"], [["1"]]) + "\n")
    expected = (
        "a\n<!-- x y -->\n\n| n |\n|---|\n| 1 |\n\n<!-- /x y -->\nb\n<!-- x -->\n<!-- /x -->\n"
    )
    assert page.read_text() == expected
    with pytest.raises(OptionError, match="lacks the marks"):
        ladder.into_page(page, "z", "")


def test_ratios_are_medians_of_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    from roofline.validate.records.failure import Failure, FailureKind
    from roofline.validate.records.record import Measurement, Status
    from roofline.validate.records.request import RunRequest

    ladder = script("tvm_ladder", monkeypatch)

    def runs(*medians: float):
        return [
            Measurement(
                RunRequest("n", "b"), Status.OK, samples_s=(one,) * 3, cpu_s=1.0, wall_s=1.0
            )
            for one in medians
        ]

    # Round by round 2, 3 and 10; the ratio of the medians would be 3/2.
    assert ladder.ratio(runs(2.0, 3.0, 20.0), runs(1.0, 1.0, 2.0)) == "3 (2–10)"
    assert ladder.milliseconds(runs(2.0, 3.0, 20.0)) == "3e+03"
    failed = [
        Measurement(
            RunRequest("n", "b"), Status.FAILED, Failure(FailureKind.ERROR, "no such thing")
        )
    ]
    assert ladder.ratio(failed, runs(1.0)) == "–"
    assert ladder.milliseconds(failed) == "failed: no such thing"


def test_found_tiles_join_those_that_ship(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiles = script("tvm_tiles", monkeypatch)
    (tmp_path / "tiles-znver4-16.json").write_text('{"a": {"ms": 2}, "c": {"ms": 3}}')
    (tmp_path / "tiles-haswell-8.json").write_text('{"d": {"ms": 4}}')
    known = {"znver4": {"16": {"a": {"ms": 1}, "b": {"ms": 1}}, "8": {"a": {"ms": 5}}}}
    assert tiles.merge_tiles(known, tmp_path) == {
        "znver4": {"16": {"a": {"ms": 2}, "b": {"ms": 1}, "c": {"ms": 3}}, "8": {"a": {"ms": 5}}},
        "haswell": {"8": {"d": {"ms": 4}}},
    }
    assert known["znver4"]["16"]["a"] == {"ms": 1}
