"""What the program answers is what it answered when the corpus was recorded.

A number that is corrected on purpose is recorded again (`corpus.py` says how) in the same commit, which names it in
CHANGELOG.md under *Numbers*.
"""

from __future__ import annotations

import importlib.util
import itertools
from pathlib import Path

import pytest

_SPEC = importlib.util.spec_from_file_location("corpus", Path(__file__).with_name("corpus.py"))
corpus = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(corpus)

FAST = {
    "count": ("mlp", "mobilenet_v2_cifar10"),
    "predict": ("mlp", "resnet50", "mobilenet_v1"),
    "advise": ("resnet50",),
    "reproduce": ("turner",),
    "compress": ("mlp_25",),
}


def check(verb: str, name: str) -> None:
    found = list(corpus.differences(corpus.load(verb)[name], corpus.answer(verb, name)))
    shown = "\n".join(itertools.islice(found, 30))
    assert not found, f"{verb} {name} differs from the corpus in {len(found)} places:\n{shown}"


@pytest.mark.parametrize(
    ("verb", "name"), [(verb, name) for verb, names in FAST.items() for name in names]
)
def test_some_answers_are_those_recorded(verb, name):
    check(verb, name)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("verb", "name"), [(verb, name) for verb in corpus.VERBS for name in corpus.cases(verb)]
)
def test_every_answer_is_the_one_recorded(verb, name):
    check(verb, name)


@pytest.mark.parametrize("verb", corpus.VERBS)
def test_every_network_and_paper_is_in_the_corpus(verb):
    assert sorted(corpus.load(verb)) == sorted(corpus.cases(verb))


def test_the_corpus_stays_small():
    assert sum(path.stat().st_size for path in corpus.FOLDER.glob("*.json")) <= 2_000_000


@pytest.mark.parametrize(
    ("old", "new", "count"),
    [
        ({"a": 1.0}, {"a": 1.0 + 1e-14}, 0),
        ({"a": 1.0}, {"a": 1.0 + 1e-11}, 1),
        ({"a": 1}, {"a": 1.0}, 1),
        ({"a": "x"}, {"a": "y"}, 1),
        ({"a": 1}, {"b": 1}, 2),
        ([1, 2], [1], 1),
        ([{"a": None}], [{"a": 0}], 1),
    ],
)
def test_every_kind_of_difference_is_seen(old, new, count):
    assert len(list(corpus.differences(old, new))) == count
