"""Wrong calls from Python are errors of ours, in Python's words; names may be spelled as elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

import roofline as rl
from roofline.compress import Pruning, Sparsity
from roofline.errors import DimensionError, RooflineError
from roofline.precision import precision
from roofline.surfaces import (
    BATCH,
    DATATYPE,
    MODEL,
    WEIGHTS_READ,
    Surface,
    dim_at,
    input_at,
    render,
    value_at,
)
from roofline.validate.measuring.series import check_backends, for_backend
from roofline.validate.records.request import RunRequest
from roofline.validate.records.tuning import Tuning

MLP = rl.load("mlp")
TX2 = rl.platform("tx2:maxn")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: rl.predict("resnet50", TX2), "workload is 'resnet50', not a Workload. Load it"),
        (lambda: rl.predict(MLP, "tx2:maxn"), "platform is 'tx2:maxn', not a Platform. Find it"),
        (lambda: rl.predict(MLP, TX2, batch="8"), "batch is '8', not a whole number"),
        (lambda: rl.predict(MLP, TX2, batch=1.5), "batch is 1.5, not a whole number"),
        (lambda: rl.predict(MLP, TX2, batch=float("nan")), "batch is nan"),
        (lambda: rl.predict(MLP, TX2, batch=10**400), "batch is a number of about 400 digits"),
        (lambda: rl.predict(MLP, TX2, datatype=["fp16"]), "datatype is ['fp16'], not a name"),
        (lambda: rl.predict(MLP, TX2, batch=True), "batch is True, not a whole number"),
        (lambda: rl.predict(MLP, TX2, weights_read=3), "weights_read is 3, not a name"),
        (lambda: MLP.under(sparsity="x"), "sparsity is 'x', not a"),
        (lambda: rl.load("mlp", inputs={"input": "1x2"}), "inputs['input'] is '1x2', not a list"),
        (lambda: rl.load("mlp", inputs={"input": ["1"]}), "inputs['input'] is '1', not a whole number"),
        (lambda: rl.load("mlp", dims={"N": "2"}), "dims['N'] is '2', not a whole number"),
        (lambda: rl.predict(MLP, TX2, model=None), "None is no name of a prediction model"),
        (lambda: rl.predict(MLP, TX2, traffic=3), "traffic is 3, not a name"),
        (lambda: rl.load(3), "model is 3, not a name or path"),
        (lambda: rl.Workload.from_onnx(5), "model is 5, not a path or an onnx.ModelProto"),
        (lambda: rl.load(""), "the model's name is empty"),
        (lambda: rl.load("mlp", dims=[1]), "dims is [1], not a mapping"),
        (lambda: rl.load("mlp", batch="x"), "batch is 'x'"),
        (lambda: rl.platform(None), "name is None, not a name or path"),
        (lambda: MLP.under(precision=8), "precision is 8, not a name"),
        (lambda: MLP.under(pruning="half"), "pruning is 'half', not a number"),
        (lambda: rl.sweep(MLP, TX2), "workloads is <Workload"),
        (lambda: rl.sweep(["mlp"], [TX2]), "workloads is 'mlp', not a Workload"),
        (lambda: rl.sweep([MLP], [TX2], datatypes="fp16"), "datatypes is 'fp16', not a list"),
        (lambda: rl.sweep([MLP], [TX2], batches=8), "batches is 8, not a list"),
        (lambda: rl.compare("a", "b"), "predictions is 'a', not a list"),
        (lambda: rl.measure(3), "model is 3, not a name or path"),
        (lambda: rl.measure("mlp", threads="2"), "threads is '2', not a whole number"),
    ],
)  # fmt: skip
def test_wrong_calls_are_one_clear_line(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(RooflineError) as caught:
        call()
    assert words in str(caught.value)


def test_the_library_speaks_of_arguments_and_the_command_line_of_flags() -> None:
    error = DimensionError(
        "input 'x' has no 'N'",
        repair=f"Give it: {dim_at('N', 8)}, or: {input_at('x', '1x3')}, or leave {BATCH} out",
    )
    assert str(error) == (
        "input 'x' has no 'N'. Give it: dims={'N': 8}, or: inputs={'x': (1, 3)}, or leave batch out"
    )
    assert error.line() == (
        "input 'x' has no 'N'. Give it: --dim 'N=8', or: --input x=1x3, or leave --batch out"
    )
    assert (error.message, error.repair) == tuple(error.line().split(". ", 1))


@pytest.mark.parametrize(
    ("text", "flags", "arguments", "keys"),
    [
        (f"Choose with {DATATYPE}", "Choose with -d", "Choose with datatype", "Choose with datatypes"),
        (f"{BATCH.at(8)} is too much", "--batch 8 is too much", "batch=8 is too much", "batches: [8] is too much"),
        (f"{WEIGHTS_READ}", "--weights-read", "weights_read", "weights_read"),
        (f"{MODEL.at('expected')}", "--model expected", "model=expected", "model: expected"),
        # A sweep file has no such key.
        (f"Give {value_at('sr', 16000)}", "Give --value sr=16000", "Give values={'sr': 16000}",
         "Give --value sr=16000"),
        (f"Give {input_at('x', '7')}", "Give --input x=7", "Give inputs={'x': (7,)}", "Give --input x=7"),
        # What a model or a user is called by stays as it is, even where it looks like a flag.
        ("See: roofline predict mlp -d int8", *["See: roofline predict mlp -d int8"] * 3),
        ("input '--batch 8'", *["input '--batch 8'"] * 3),
    ],
)  # fmt: skip
def test_a_message_has_the_words_of_each_surface(
    text: str, flags: str, arguments: str, keys: str
) -> None:
    assert [render(text, surface) for surface in Surface] == [flags, arguments, keys]


def test_an_error_of_another_process_keeps_the_words_of_both_surfaces() -> None:
    error = DimensionError("no size", repair=f"Give {dim_at('N')}")
    message, repair = error.texts
    again = DimensionError(message, repair=repair)
    assert (str(again), again.line()) == (str(error), error.line())


@pytest.mark.parametrize(
    ("spelling", "name"),
    [("float16", "fp16"), ("HALF", "fp16"), ("bfloat16", "bf16"), ("Float32", "fp32"), ("FP8", "fp8"),
     ("i8", "int8"), ("INT4", "int4"), ("W4A16", "w4a16"), ("Ternary", "ternary")],
)  # fmt: skip
def test_datatypes_may_be_spelled_as_elsewhere(spelling: str, name: str) -> None:
    assert precision(spelling) == precision(name)


def test_names_may_have_any_capitals() -> None:
    assert rl.load("MLP") == MLP
    assert rl.platform("TX2:maxn") == TX2
    assert rl.predict(MLP, TX2, datatype="Float16") == rl.predict(MLP, TX2, datatype="fp16")
    assert rl.sweep([MLP], [TX2], datatypes=["float16", "fp16"]).predictions[1:] == ()
    assert str(MLP.under(precision="Float16").precision) == "fp16"
    conventions = {"traffic": "Fused", "operations": "ALL", "weights_read": "Per-Item"}
    assert rl.predict(MLP, TX2, **conventions) == rl.predict(
        MLP, TX2, **{name: word.lower() for name, word in conventions.items()}
    )
    estimate = rl.predict(MLP, TX2, model="expected", runtime="TRT")
    assert estimate == rl.predict(MLP, TX2, model="expected", runtime="trt")
    with pytest.raises(RooflineError, match="no published run has the runtime 'TRTT'"):
        rl.predict(MLP, TX2, model="expected", runtime="TRTT")


def test_what_is_asked_in_capitals_is_recorded_in_the_names_own_spelling() -> None:
    assert Sparsity(0.5, format="CSR").label == "sparsity=0.5,csr"
    assert Pruning(0.5, criterion="L1") == Pruning(0.5, criterion="l1")
    asked = RunRequest("mlp", backend="TVM", algorithm="GEMM", tuning=Tuning.of("Untuned"))
    ready = for_backend(replace(asked, options={"device": "CPU"}))
    assert (ready.backend, ready.algorithm, ready.tuning) == ("tvm", "gemm", "untuned")
    assert ready.options["device"] == "cpu"


def test_an_algorithm_is_recorded_where_a_backend_has_a_choice() -> None:
    asked = RunRequest("mlp", algorithm="gemm")
    names = ["tvm", "onnxruntime"]
    check_backends(asked, names)
    ready = [for_backend(replace(asked, backend=name)).algorithm for name in names]
    assert ready == ["gemm", "default"]
    with pytest.raises(RooflineError, match=r"tvm has no .*foo"):
        check_backends(replace(asked, algorithm="foo"), names)
    with pytest.raises(RooflineError, match="onnxruntime has no choice"):
        check_backends(asked, ["onnxruntime"])
