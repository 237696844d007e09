"""What a user does with every verb: files of one name, spellings of names, sizes left open, notes to read."""

from __future__ import annotations

import re
from collections.abc import Iterator

import onnx
import pytest
from onnx import TensorProto, helper

from roofline import workloads

from .desk import ARGUMENTS, Desk, check
from .verbs import VERBS

NETWORK = "mlp_12_5"
MODELS = (
    "count",
    "networks check",
    "predict",
    "compare",
    "compress",
    "advise",
    "measure",
    "validate",
    "accuracy",
)
"""Verbs that work on models of a user's."""
SEVERAL = tuple(verb for verb in MODELS if verb not in {"count", "compress"})
"""Those that name more than one on a page."""


def _flags(verb: str) -> set[str]:
    return {flag for parameter in VERBS[verb].params for flag in parameter.opts}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    made = Desk(tmp_path_factory.mktemp("usage"))
    for folder in ("x", "y"):
        (made.folder / folder).mkdir()
        onnx.save(workloads.build(NETWORK, weights="random"), made.folder / folder / "model.onnx")
    onnx.save(_open(), made.folder / "open.onnx")
    yield made
    made.close()


def _open() -> onnx.ModelProto:
    """Return a model of which two inputs leave a size open beside the batch."""
    inputs = [
        helper.make_tensor_value_info("a", TensorProto.FLOAT, ["N", "rows", 4]),
        helper.make_tensor_value_info("b", TensorProto.FLOAT, ["N", 4, "columns"]),
    ]
    output = helper.make_tensor_value_info("c", TensorProto.FLOAT, None)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["a", "b"], ["c"])], "g", inputs, [output]
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def _on(desk: Desk, verb: str, *models: str) -> list[str]:
    """Return a verb's words with other models."""
    words = [*desk.words(verb)]
    known = {NETWORK, str(desk.folder / "model.onnx")}
    first = next((i for i, word in enumerate(words) if word in known), len(words))
    rest = [word for word in words[first:] if word not in known]
    return [*words[:first], *models, *rest]


@pytest.mark.parametrize(
    "verb", [verb for verb in VERBS if verb not in {"demo", "platforms show"}]
)
def test_at_most_two_lines_stand_below_a_table(verb: str, desk: Desk) -> None:
    answer = desk.run(*desk.words(verb))
    check(answer)
    below = 0
    for line in reversed(answer.out.splitlines()):
        if not re.match(r"  \S", line):
            break
        below += 1
    assert below <= 2, answer.out


@pytest.mark.parametrize("verb", SEVERAL)
def test_files_of_one_name_are_told_apart(verb: str, desk: Desk) -> None:
    answer = desk.run(*_on(desk, verb, "x/model.onnx", "y/model.onnx"))
    check(answer)
    assert "x/model" in answer.out, answer
    assert "y/model" in answer.out, answer


@pytest.mark.parametrize("verb", [verb for verb in MODELS if verb != "accuracy"])
def test_a_network_is_known_in_any_capitals_and_named_by_its_own(verb: str, desk: Desk) -> None:
    others = ["cnv"] if verb == "compare" else []
    answer = desk.run(*_on(desk, verb, NETWORK.upper(), *others))
    assert answer.code in (0, 1), answer
    assert NETWORK in answer.out or verb == "networks check", answer
    assert NETWORK.upper() not in answer.out or verb == "networks check", answer


@pytest.mark.parametrize(
    "verb",
    [
        verb
        for verb in VERBS
        if "--platform" in _flags(verb) and verb in ARGUMENTS and verb != "report"
    ],
)
def test_a_machine_is_known_in_any_capitals(verb: str, desk: Desk) -> None:
    words = desk.words(verb)
    if "tx2:maxn" not in words:
        words += ["--platform", "tx2:maxn"]
    answer = desk.run(*(word.upper() if word == "tx2:maxn" else word for word in words))
    assert answer.code in (0, 1), answer


@pytest.mark.parametrize("spelled", ["float16", "half", "FP16", "i8", "bf16"])
@pytest.mark.parametrize("verb", [verb for verb in MODELS if "--datatype" in _flags(verb)])
def test_usual_spellings_of_datatypes_are_known(verb: str, spelled: str, desk: Desk) -> None:
    words = _on(desk, verb, NETWORK, *(["cnv", "-p", "tx2:maxn"] if verb == "compare" else []))
    # Machines with a unit for each; what is measured here is only started.
    words = ["h100-sxm" if word.startswith("tx2") else word for word in words]
    answer = desk.run(*words, "-d", spelled, alone=True)
    assert "datatype" not in answer.err, answer
    assert answer.code in (0, 1), answer


@pytest.mark.parametrize("verb", [verb for verb in MODELS if verb != "accuracy"])
def test_every_size_that_is_missing_is_named_at_once_with_flags_that_the_verb_has(
    verb: str, desk: Desk
) -> None:
    models = ["open.onnx", "cnv"] if verb == "compare" else ["open.onnx"]
    # Measuring counts where it runs: in a process of its own.
    answer = desk.run(*_on(desk, verb, *models), alone=verb != "measure")
    said = answer.out + answer.err
    assert answer.code == 2, answer
    assert "'rows'" in said, said
    assert "'columns'" in said, said
    assert set(re.findall(r"--[a-z][a-z-]+", said)) <= _flags(verb), said


def test_only_the_program_itself_installs_completion() -> None:
    assert [verb for verb in VERBS if "--install-completion" in _flags(verb)] == []
