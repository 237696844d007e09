"""Decoders on this machine's GPU beside their bounds: the time of a prompt, and of one more token with a filled cache.

Usage:
    python benchmarks/gpu_decoders.py measure -o RUNS.csv [--seconds 300]      # needs torch with a GPU
    python benchmarks/gpu_decoders.py table RUNS.csv -p h200-sxm               # needs neither

The graphs are the shipped ones, run by torch in fp16 with random weights made on the GPU; new keys and values are
written into the cache's own buffer, and the kernels of a step are launched as one CUDA graph. Nothing is fused by hand.
Outputs are compared with ONNX Runtime's by the tests, on small decoders of the same operators.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from roofline.child import command, environment
from roofline.workloads import build

CASES = (
    *(("llama32_1b", phase, 4096, batch) for phase, batch in (
        ("prefill", 1), ("decode", 1), ("decode", 8), ("decode", 64))),
    *(("llama31_8b", phase, 4096, batch) for phase, batch in (
        ("prefill", 1), ("decode", 1), ("decode", 8), ("decode", 32), ("decode", 128))),
    ("llama31_8b", "prefill", 512, 1), ("llama31_8b", "decode", 512, 1), ("llama31_8b", "decode", 512, 128),
    *(("llama32_3b", phase, 4096, batch) for phase, batch in (("prefill", 1), ("decode", 1), ("decode", 32))),
    *(("qwen3_32b", phase, 4096, batch) for phase, batch in (("prefill", 1), ("decode", 1), ("decode", 16))),
)  # fmt: skip
"""Network, phase, positions of the prompt, requests."""
_RUNS = 30


@dataclass(frozen=True, slots=True)
class Row:
    """One measured case."""

    gpu: str
    torch: str
    network: str
    phase: str
    context: int
    batch: int
    median_ms: float
    p5_ms: float
    p95_ms: float
    runs: int
    memory_gb: float
    """Most that was allocated, 1e9 B."""


def measure_case(network: str, phase: str, context: int, batch: int) -> Row:
    """Measure one case; its memory is free again afterwards."""
    torch: Any = importlib.import_module("torch")
    step = _capture(torch, network, phase, context, batch)
    samples: list[float] = []
    for _ in range(_RUNS):
        begin = time.perf_counter()
        step()
        torch.cuda.synchronize()
        samples.append(1e3 * (time.perf_counter() - begin))
        if sum(samples) > 20e3:
            break
    ordered = sorted(samples)
    return Row(
        torch.cuda.get_device_name(), torch.__version__, network, phase, context, batch,
        statistics.median(samples), ordered[len(ordered) // 20], ordered[-1 - len(ordered) // 20], len(samples),
        torch.cuda.max_memory_allocated() / 1e9,
    )  # fmt: skip


def _shape_graph(network: str, phase: str, context: int, batch: int) -> Any:
    """Return a decoder's graph for a whole prompt or one token behind it; the cache has room for all."""
    graph = build(network, batch=batch)
    new, total = (1, context + 1) if phase == "decode" else (context, context)
    sizes = {
        "sequence_length": new, "total_sequence_length": total, "past_sequence_length": total,
    }  # fmt: skip
    for entry in (*graph.graph.input, *graph.graph.output):
        for dim in entry.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_value = sizes[dim.dim_param]
    return graph


def _capture(torch: Any, network: str, phase: str, context: int, batch: int) -> Any:
    """Return a function that launches one step's kernels at once."""
    from roofline.validate.torch_runtime.graph import module_of

    graph = _shape_graph(network, phase, context, batch)
    with torch.device("cuda"), torch.inference_mode():
        # Reading a graph runs it once and holds every result: that of one request is enough to read.
        single = _shape_graph(network, phase, context, 1)
        module = module_of(single, lambda entry: _tensor(torch, entry)).eval()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        inputs = [_input(torch, entry) for entry in graph.graph.input]
        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            for _ in range(2):
                module(*inputs)
        stream.synchronize()
        recorded = torch.cuda.CUDAGraph()
        with torch.cuda.graph(recorded):
            module(*inputs)

    def step() -> None:
        recorded.replay()

    step.holds = (module, inputs)  # the graph's kernels read them where they lie
    step()
    torch.cuda.synchronize()
    return step


def _tensor(torch: Any, entry: Any) -> Any:
    """Return a stored tensor on the GPU; small numbers at random where it has no payload."""
    onnx: Any = importlib.import_module("onnx")
    if entry.data_type == onnx.TensorProto.INT64:
        return torch.from_numpy(onnx.numpy_helper.to_array(entry).copy())
    return torch.randn(tuple(entry.dims), dtype=torch.float16, device="cuda") * 0.02


def _input(torch: Any, entry: Any) -> Any:
    tensor = entry.type.tensor_type
    shape = [dim.dim_value for dim in tensor.shape.dim]
    if entry.name == "input_ids":
        return torch.randint(0, 1000, shape, device="cuda")
    if entry.name == "attention_mask":
        return torch.ones(shape, dtype=torch.int64, device="cuda")
    return torch.randn(shape, dtype=torch.float16, device="cuda")


def table(rows: Sequence[Row], machine: str) -> Iterator[str]:
    """Yield the lines of a table: measured, Equation 1's bound, its share, and the estimate."""
    yield "| network | phase | context | batch | measured ms | bound ms | share | expected ms | memory GB |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for row in rows:
        bound, estimate = (predicted_ms(row, machine, kind) for kind in ("equation1", "expected"))
        yield (
            f"| {row.network} | {row.phase} | {row.context:,} | {row.batch} | {row.median_ms:.3g} | {bound:.3g} "
            f"| {bound / row.median_ms:.0%} | {estimate:.3g} | {row.memory_gb:.3g} |"
        )


def predicted_ms(row: Row, machine: str, kind: str) -> float:
    """Return the time of a case by a prediction model."""
    asked = command(
        "-m", "roofline", "predict", row.network, "-p", machine, "-d", "fp16", "-b", str(row.batch),
        "--context", str(row.context), "--new-tokens", "1", "--phase", row.phase, "--model", kind, "--format", "json",
    )  # fmt: skip
    done = subprocess.run(asked, env=environment({}), capture_output=True, check=True)
    (found,) = json.loads(done.stdout)["predictions"]
    return found["ttft_ms" if row.phase == "prefill" else "tpot_ms"]


def main() -> None:
    """Measure, or print the table of what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    measuring = verbs.add_parser("measure")
    measuring.add_argument("-o", "--output", type=Path, required=True)
    measuring.add_argument(
        "--seconds", type=float, default=300.0, help="no case is begun after this long"
    )
    printing = verbs.add_parser("table")
    printing.add_argument("runs", type=Path)
    printing.add_argument("-p", "--platform", required=True)
    asked = parser.parse_args()
    if asked.verb == "table":
        with asked.runs.open(encoding="utf-8", newline="") as file:
            rows = [
                Row(**{field.name: _of(field.type, row[field.name]) for field in fields(Row)})
                for row in csv.DictReader(file)
            ]
        print("\n".join(table(rows, asked.platform)))
        return
    begin = time.perf_counter()
    with asked.output.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)])
        writer.writeheader()
        for case in CASES:
            if time.perf_counter() - begin > asked.seconds:
                print(f"no time for {case}", file=sys.stderr)
                continue
            try:
                row = measure_case(*case)
            except Exception as error:  # the other cases are still worth measuring
                print(f"{case}: {type(error).__name__}: {str(error)[:200]}", file=sys.stderr)
                continue
            finally:
                importlib.import_module("gc").collect()
                importlib.import_module("torch").cuda.empty_cache()
            writer.writerow(asdict(row))
            file.flush()
            print(row, file=sys.stderr)


def _of(kind: Any, text: str) -> Any:
    return {"int": int, "float": float}.get(str(kind), str)(text)


if __name__ == "__main__":
    main()
