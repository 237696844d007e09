"""What is usual of every verb, also of one that is added tomorrow: the verbs are those of the command line itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from roofline.cli._output import MARKDOWN
from roofline.errors import OptionError

from .verbs import VERBS


def _flags(command: Any) -> set[str]:
    return {flag for parameter in command.params for flag in parameter.opts}


WRITERS = [verb for verb, command in VERBS.items() if {"--format", "--output"} <= _flags(command)]
NAMING = [
    (verb, flag)
    for verb, command in VERBS.items()
    for flag in ("--platform", "--datatype", "--backend", "--model")
    if any(parameter.multiple for parameter in command.params if flag in parameter.opts)
]
ROWS = (
    "count", "networks list", "platforms list", "predict", "compare", "advise", "measure", "validate", "score",
    "campaign results",
)  # fmt: skip
BINDING = ("count", "predict", "compare", "compress", "advise", "measure", "validate")
"""Verbs whose models may leave dimensions open."""


def called(verb: str, monkeypatch: pytest.MonkeyPatch, *words: str) -> dict[str, Any]:
    """Return what a verb is called with, without calling it."""
    command = VERBS[verb]
    seen: dict[str, Any] = {}

    def keep(**given: Any) -> None:
        seen.update(given)

    monkeypatch.setattr(command, "callback", keep)
    needed: list[str] = []
    for parameter in command.params:
        if parameter.required and not set(words).intersection(parameter.opts):
            needed += (
                ["mlp"] if parameter.param_type_name == "argument" else [parameter.opts[0], "x"]
            )
    with command.make_context(verb, [*needed, *words]) as context:
        command.invoke(context)
    return seen


CHOICES = [
    (verb, parameter.name, flag, choice)
    for verb, command in VERBS.items()
    for parameter in command.params
    for flag in parameter.opts[:1]
    for choice in getattr(parameter.type, "choices", ())[-1:]
]


@pytest.mark.parametrize(("verb", "name", "flag", "choice"), CHOICES)
def test_choices_are_known_in_any_capitals(
    verb: str, name: str, flag: str, choice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert called(verb, monkeypatch, flag, str(choice).upper())[name] == choice


@pytest.mark.parametrize(
    "verb", [verb for verb in WRITERS if verb not in {"compress", "calibrate"}]
)
def test_a_files_name_decides_the_format_and_no_other_is_taken(
    verb: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (usual,) = [one.default for one in VERBS[verb].params if one.name == "form"]
    for name, form in (("x.csv", "csv"), ("X.JSON", "json"), ("x.txt", str(usual))):
        seen = called(verb, monkeypatch, "-o", str(tmp_path / name))
        assert str(seen["form"]) == form
    seen = called(verb, monkeypatch, "-o", str(tmp_path / "x.md"))
    assert (str(seen["form"]), MARKDOWN.get()) == ("table", True)
    seen = called(verb, monkeypatch, "-o", str(tmp_path / "x.txt"), "--format", "json")
    assert (str(seen["form"]), MARKDOWN.get()) == ("json", False)
    for name, form in (("x.csv", "json"), ("X.JSON", "csv"), ("x.json", "table"), ("x.md", "csv")):
        with pytest.raises(OptionError, match=f"--format {form} contradicts .*{name}"):
            called(verb, monkeypatch, "-o", str(tmp_path / name), f"--format={form}")
    called(verb, monkeypatch, "-o", str(tmp_path / "x.md"), "--format=table")
    assert MARKDOWN.get()


@pytest.mark.parametrize("verb", WRITERS)
def test_notes_can_be_left_out_and_asked_for(verb: str) -> None:
    assert {"--quiet", "-q", "--explain"} <= _flags(VERBS[verb])


@pytest.mark.parametrize("verb", ROWS)
def test_rows_can_be_sorted_and_cut(verb: str) -> None:
    assert {"--sort", "--top"} <= _flags(VERBS[verb])


@pytest.mark.parametrize("verb", BINDING)
def test_what_a_model_leaves_open_can_be_given(verb: str) -> None:
    assert {"--batch", "--dim", "--input", "--value"} <= _flags(VERBS[verb])


@pytest.mark.parametrize(("verb", "flag"), NAMING)
def test_names_may_be_joined_by_commas(
    verb: str, flag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (parameter,) = [one for one in VERBS[verb].params if flag in one.opts]
    seen = called(verb, monkeypatch, flag, "a,b", flag, "c")
    assert list(seen[parameter.name]) == ["a", "b", "c"]
