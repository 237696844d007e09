"""Tokens per second of decoders: ``llama-bench -o json`` (or ``jsonl``), and result files of ``vllm bench serve``.

A run is of a phase, as runs of decoders are that `measure` makes: of the prompt, an item being a request's; or of the
tokens behind it, an item being a token behind as many positions as there are in the mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from roofline.errors import TableError
from roofline.precision import formats
from roofline.reading import JsonObject, read_json, real_number, whole_number
from roofline.surfaces import BATCH
from roofline.validate.records.importers._registry import (
    Facts,
    ImportedFile,
    RejectedRow,
    check_named,
    entries,
    imported_request,
    importer,
    with_keys,
)
from roofline.validate.records.record import Measurement, Reported, Status

_WEIGHTS = {"f16": "fp16", "bf16": "bf16", "all f32": "fp32", "mxfp4 moe": "mxfp4"}
"""Formats of weights as llama.cpp describes them, where that is not the name of the file."""
_ROUNDED = 0.02
"""Difference between a stated rate and the one of its times: a mean of rates is not the rate of a mean."""
_SAID = ("network", "machine", "datatype")
"""What the file or the user has to say of a run."""
_SIZES = {"small": "s", "medium": "m", "large": "l"}
_SAME = 1e-6
"""Difference in parameters up to which a model is the shipped one: files of llama.cpp store a few factors beside."""


@importer("llama-bench", "llama-bench -o json or jsonl (llama.cpp)", with_keys("avg_ts", "n_gen"))
def _llama_bench(path: Path, text: str, facts: Facts) -> ImportedFile:
    """Read one run per test: the prompt (``pp``) or the tokens behind it (``tg``); both in one are left out."""
    runs: list[Measurement] = []
    rejected: list[RejectedRow] = []
    for number, entry in enumerate(entries(path, _document(path, text), "llama-bench's tests"), 1):
        where = f"{path}: entry {number}"
        prompt, new = (_count(entry, name, where) for name in ("n_prompt", "n_gen"))
        if (prompt > 0) == (new > 0):
            rejected.append(
                RejectedRow(number, "it times a prompt and new tokens as one; run -p and -n apart")
            )
            continue
        known = replace(
            facts,
            network=facts.network or _network(entry, where),
            machine=facts.machine or str(entry.get("gpu_info") or entry.get("cpu_info") or ""),
            datatype=facts.datatype or _format(str(entry.get("model_type", ""))),
            batch=1,
        )  # fmt: skip
        check_named(known, where, _SAID)
        found = entry.get("samples_ns") or [entry.get("avg_ns", "")]
        if not isinstance(found, list):
            raise TableError(
                f"{where}: samples_ns is no list", repair="Write it with llama-bench -o json"
            )
        samples = cast("list[Any]", found)
        # A sample is the whole test: of new tokens so many steps of one.
        seconds = tuple(
            real_number(ns, f"{where}: samples_ns", least=1, error=TableError) / 1e9 / (new or 1) for ns in samples
        )  # fmt: skip
        _check_bench(entry, seconds, 1 if prompt == 0 else prompt, where)
        depth = _count(entry, "n_depth", where)
        job = replace(
            imported_request(known, "llama.cpp"),
            phase="prefill" if prompt else "decode",
            context=prompt or _mean_place(depth, new),
            options={"depth": depth, "devices": _devices(entry)},
            threads=_count(entry, "n_threads", where) or 1,
        )
        runs.append(
            Measurement(
                job, Status.OK, machine=known.machine, samples_s=seconds,
                reported=Reported(f"llama-bench -o json, {path.name}"),
            )
        )  # fmt: skip
    return ImportedFile(tuple(runs), tuple(rejected))


def _document(path: Path, text: str) -> object:
    """Return the tests of a file: one list, or as ``-o jsonl`` has them one object a line."""
    if text.lstrip().startswith("["):
        return read_json(text, str(path))
    lines = [line for line in text.splitlines() if line.strip()]
    return [read_json(line, f"{path} line {number}") for number, line in enumerate(lines, 1)]


@importer(
    "vllm-bench",
    "vllm bench serve --save-result",
    with_keys("median_tpot_ms", "total_output_tokens"),
)
def _vllm(path: Path, text: str, facts: Facts) -> ImportedFile:
    """Read the medians of the time to the first token and per token of a served run."""
    document = read_json(text, str(path))
    if not isinstance(document, dict):
        raise TableError(
            f"{path} is no result of vllm bench serve", repair="Write it with --save-result"
        )
    entry = cast("JsonObject", document)
    known = replace(
        facts, network=facts.network or _served_network(str(entry.get("model_id", "")))
    )
    check_named(known, path, _SAID)
    completed = _count(entry, "completed", str(path))
    if not completed:
        raise TableError(f"{path}: no request was completed", repair="Leave the file out")
    limit = entry.get("max_concurrency")
    requests = _count(entry, "max_concurrency", str(path)) if limit else facts.batch
    if not requests:
        raise TableError(
            f"{path} does not say how many requests were in flight",
            repair=f"Name them with {BATCH}",
        )
    context, new = (
        max(1, round(_count(entry, name, str(path)) / completed))
        for name in ("total_input_tokens", "total_output_tokens")
    )
    _check_served(entry, completed, str(path))
    runs: list[Measurement] = []
    for phase, name, items, place in (
        ("decode", "median_tpot_ms", requests, _mean_place(context, new)),
        ("prefill", "median_ttft_ms", 1, context),
    ):
        if name not in entry:
            raise TableError(
                f"{path} has no {name}", repair="Write it with vllm bench serve --save-result"
            )
        seconds = real_number(entry[name], f"{path}: {name}", least=0, error=TableError) / 1e3
        job = imported_request(replace(known, batch=items), "vllm")
        runs.append(
            Measurement(
                replace(job, phase=phase, context=place, options={"new_tokens": new, "requests": requests}),
                Status.OK, machine=known.machine,
                reported=Reported(f"vllm bench serve, {path.name}", latency_s=seconds),
                notes=("the median over requests, waiting for others' prompts included",),
            )
        )  # fmt: skip
    return ImportedFile(tuple(runs))


def _mean_place(past: int, new: int) -> int:
    """Return behind how many positions new tokens stand in the mean; at least behind one."""
    return max(1, past + (new - 1) // 2)


def _check_bench(entry: JsonObject, seconds: Sequence[float], tokens: int, where: str) -> None:
    """Check that the rate that a test states is that of its samples: one of both was changed, or means another thing.

    llama-bench states the mean of the samples' rates.

    Raises:
        TableError: They differ by more than `_ROUNDED`.
    """
    if "avg_ts" not in entry:
        return
    stated = real_number(entry["avg_ts"], f"{where}: avg_ts", least=0, error=TableError)
    found = tokens * sum(1 / value for value in seconds) / len(seconds)
    if not math.isclose(stated, found, rel_tol=_ROUNDED):
        raise TableError(
            f"{where}: avg_ts is {stated:g} tokens/s, and its times are of {found:.4g}",
            repair="Write it with llama-bench -o json, and leave it as it is",
        )


def _check_served(entry: JsonObject, completed: int, where: str) -> None:
    """Check the rates that a result states against its totals and its duration.

    Raises:
        TableError: They differ by more than `_ROUNDED`.
    """
    if "duration" not in entry:
        return
    duration = real_number(entry["duration"], f"{where}: duration", least=1e-9, error=TableError)
    for name, total in (
        ("request_throughput", completed),
        ("output_throughput", _count(entry, "total_output_tokens", where)),
    ):
        if name not in entry:
            continue
        stated = real_number(entry[name], f"{where}: {name}", least=0, error=TableError)
        if not math.isclose(stated, total / duration, rel_tol=_ROUNDED):
            raise TableError(
                f"{where}: {name} is {stated:g} a second, and {total:,} in {duration:g} s are {total / duration:.4g}",
                repair="Write it with vllm bench serve --save-result, and leave it as it is",
            )


def _network(entry: JsonObject, where: str) -> str:
    """Return the shipped decoder of so many parameters, else the file's name."""
    from roofline.workloads import decoders

    count = _count(entry, "model_n_params", where)
    for key in decoders:
        if count and abs(decoders.get(key).sizes.parameters / count - 1) < _SAME:
            return key
    return Path(str(entry.get("model_filename", ""))).stem


def _served_network(model: str) -> str:
    """Return the shipped decoder that a model's published name means, else that name."""
    from roofline.validate.evidence.served import decoder_of

    return decoder_of(model) or model


def _format(described: str) -> str:
    """Return the format of weights in a description such as ``llama 8B Q4_K - Medium``; empty where none is known."""
    words = described.casefold()
    for text, name in _WEIGHTS.items():
        if words.endswith(text):
            return name
    head, _, size = words.rpartition(" - ")
    name = f"{(head or words).split()[-1]}" if words.split() else ""
    name += f"_{_SIZES[size]}" if head and size in _SIZES else ""
    return name if formats.find(name) is not None else ""


def _devices(entry: JsonObject) -> int:
    """Return how many cards hold the layers: llama-bench names each."""
    return max(
        1, len([name for name in str(entry.get("gpu_info", "")).split(",") if name.strip()])
    )


def _count(entry: JsonObject, name: str, where: str) -> int:
    return whole_number(entry.get(name, 0), f"{where}: {name}", least=0, error=TableError)
