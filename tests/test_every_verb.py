"""Every verb, also one that is added tomorrow: no number, file, stream or home of a user's gets more than one line.

The verbs are those of the command line itself. `ARGUMENTS` gives one something to work on; a verb that is not named
there gets a network or a file for each of its arguments, by its kind.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from .desk import ARGUMENTS, Desk, check, longest_flag
from .verb_server import FULL, STARTED
from .verbs import VERBS

NUMBERS = ("1" + "0" * 400, "1e300", "nan", "inf", "-1", "0")
QUICK = ("1e300", "-1")
LONG = re.compile(r"\d{26}")
"""A number that no person reads."""


def _is_number(parameter: Any) -> bool:
    """Whether an option takes a number: by its type, or by the example that its help shows for it."""
    return parameter.param_type_name == "option" and parameter.type.name.startswith(
        ("int", "float")
    )


FLAGS = [
    (verb, longest_flag(parameter))
    for verb, command in VERBS.items()
    for parameter in command.params
    if _is_number(parameter)
]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    made = Desk(tmp_path_factory.mktemp("desk"))
    yield made
    made.close()


def _number(desk: Desk, verb: str, flag: str, value: str) -> None:
    # What is taken needs no run: a verb that measures is stopped where it starts a process.
    answer = desk.run(*desk.words(verb), flag, value, alone=True)
    check(answer)
    assert not LONG.search(answer.out), answer.out
    if answer.code == 2:
        assert not LONG.search(answer.err), answer.err
        assert flag in answer.err, answer.err


@pytest.mark.parametrize(("verb", "flag"), FLAGS)
def test_a_number_out_of_bounds_is_refused_by_its_flag(verb: str, flag: str, desk: Desk) -> None:
    _number(desk, verb, flag, QUICK[FLAGS.index((verb, flag)) % len(QUICK)])


@pytest.mark.slow
@pytest.mark.parametrize(("verb", "flag"), FLAGS)
def test_no_number_is_too_much_for_a_flag(verb: str, flag: str, desk: Desk) -> None:
    for value in NUMBERS:
        _number(desk, verb, flag, value)


Case = Mapping[str, Any]
PLACES: dict[str, Case] = {
    "full disk behind standard output": {"out": FULL},
    "full disk behind standard error": {"err": FULL},
    "standard output closed": {"out": None},
    "standard error closed": {"err": None},
    "terminal of ASCII": {"encoding": "ascii"},
    "no home": {"nobody": True, "variables": dict.fromkeys(
        ("HOME", "ROOFLINE_CACHE", "XDG_DATA_HOME", "XDG_CACHE_HOME"))},
    "home to read only": {"bound": True, "variables": {
        "HOME": "{sealed}", **dict.fromkeys(("ROOFLINE_CACHE", "XDG_DATA_HOME", "XDG_CACHE_HOME"))}},
}  # fmt: skip


def _placed(desk: Desk, verb: str, place: str, *, alone: bool) -> None:
    sealed = desk.folder / "sealed"
    sealed.mkdir(exist_ok=True)
    sealed.chmod(0o555)
    case = {**PLACES[place]}
    case["variables"] = {
        name: value and value.format(sealed=sealed)
        for name, value in case.get("variables", {}).items()
    }
    words = desk.words(verb)
    if "home" in place and "--store" in words and "{store}" not in ARGUMENTS[verb]:
        # Where records go when nobody says.
        at = words.index("--store")
        words[at : at + 2] = []
    answer = desk.run(*words, alone=alone, **case)
    check(answer, silent=place.startswith(("full disk behind standard error", "standard error")))
    if case.get("encoding") == "ascii":
        assert (answer.out + answer.err).isascii()
    if place == "full disk behind standard output" and answer.code == 0:
        # It had nothing to say there.
        assert desk.run(*desk.words(verb), alone=alone).out == "" or STARTED in answer.err
    if STARTED in answer.err and not place.startswith("home"):
        return


STARTS = [(verb, place) for verb in VERBS for place in PLACES]
# A stride that no number of places divides: every verb, and every place, is in the few.
FEW_STARTS = STARTS[:: len(PLACES) - 1]


@pytest.mark.parametrize(("verb", "place"), FEW_STARTS)
def test_a_verb_ends_well_where_it_is_started(verb: str, place: str, desk: Desk) -> None:
    _placed(desk, verb, place, alone=True)


@pytest.mark.slow
@pytest.mark.parametrize(("verb", "place"), STARTS)
def test_a_verb_ends_well_wherever_it_is_started(verb: str, place: str, desk: Desk) -> None:
    _placed(desk, verb, place, alone=True)


def _without_end(folder: Path, kind: str, ending: str) -> Path:
    path = folder / f"{kind}{ending}"
    if not path.is_symlink() and not path.exists():
        if kind == "pipe":
            os.mkfifo(path)
        else:
            path.symlink_to("/dev/zero")
    return path


def _file_places(verb: str) -> Iterator[tuple[str | int, str]]:
    """Return where a verb's command line may name a file: the flag, or the place among the words; and its ending."""
    words = ARGUMENTS.get(verb, ())
    for place, word in enumerate(words):
        if not word.startswith("-") and (place == 0 or not words[place - 1].startswith("-")):
            ending = Path(word.format_map(_Endings())).suffix
            yield place, ending or ".onnx"
    for parameter in VERBS[verb].params:
        if parameter.param_type_name == "option" and parameter.type.name in ("path", "file"):
            yield longest_flag(parameter), ""


class _Endings(dict[str, str]):
    """The ending of what each name in `ARGUMENTS` stands for."""

    def __missing__(self, key: str) -> str:
        endings = {
            "campaign": ".yaml",
            "sweep": ".yaml",
            "rates": ".csv",
            "runs": ".csv",
            "model": ".onnx",
            "store": ".db",
            "data": ".npz",
        }
        return f"x{endings.get(key, '')}"


FILES = [(verb, place, ending) for verb in VERBS for place, ending in _file_places(verb)]


KINDS = ("pipe", "endless", "odd")


@pytest.mark.parametrize(
    ("verb", "place", "ending", "kind"),
    [(*file, KINDS[number % len(KINDS)]) for number, file in enumerate(FILES[::2])],
)
def test_a_file_of_a_verb_is_none_to_wait_for(
    verb: str, place: str | int, ending: str, kind: str, desk: Desk
) -> None:
    _given(desk, verb, place, ending, kind)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("verb", "place", "ending"), FILES)
def test_no_file_of_a_verb_is_one_to_wait_for(
    verb: str, place: str | int, ending: str, kind: str, desk: Desk
) -> None:
    _given(desk, verb, place, ending, kind)


def _given(desk: Desk, verb: str, place: str | int, ending: str, kind: str) -> None:
    words = desk.words(verb)
    path = (
        str(desk.folder / os.fsdecode(b"na\xffme" + ending.encode()))
        if kind == "odd"
        else str(_without_end(desk.folder, kind, ending))
    )
    if isinstance(place, int):
        words[len(verb.split()) + place] = path
    else:
        words += [place, path]
    check(desk.run(*words, alone=True))
