"""A short run of the mutated models; `mutated_models.py` runs as many as one likes, over every operator."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from .mutated_models import attempt, model, run, seeds
from .mutations import MUTATIONS


@pytest.fixture(scope="module")
def contents() -> list[bytes]:
    return seeds(all_operators=False)


def test_mutated_models_are_counted_compressed_or_refused(contents: list[bytes]) -> None:
    tally = run(contents, 0, range(400))
    assert not tally.faults, "\n".join(text for _, text in tally.faults.values())
    assert sum(tally.outcomes.values()) == 400
    assert {"counted", "refused", "compressed", "compression refused"} <= tally.outcomes.keys()


@pytest.mark.slow
def test_every_operator_mutated() -> None:
    tally = run(seeds(all_operators=True), 1, range(5000))
    assert not tally.faults, "\n".join(text for _, text in tally.faults.values())


def test_the_same_number_is_the_same_model(contents: list[bytes]) -> None:
    assert model(contents, 3, 5)[0] == model(contents, 3, 5)[0]
    assert len({model(contents, 3, number)[0] for number in range(50)}) > 40


def test_a_fault_is_noted_with_its_place(
    contents: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise IndexError("a rule of ours")

    monkeypatch.setattr("roofline.load", broken)
    tally = run(contents, 0, range(3))
    assert tally.outcomes["fault"] == 3
    assert all(where.startswith("IndexError at") for where in tally.faults)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_every_mutation_changes_some_model(
    mutation: object, contents: list[bytes], tmp_path: Path
) -> None:
    import onnx

    changed = 0
    for number, content in enumerate(contents[:30]):
        damaged = onnx.ModelProto.FromString(content)
        mutation(damaged, random.Random(number))  # pyright: ignore[reportCallIssue]
        changed += damaged.SerializeToString() != content
        attempt(damaged.SerializeToString(), random.Random(number), tmp_path / "model.onnx")
    assert changed
