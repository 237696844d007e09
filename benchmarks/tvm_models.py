"""Which models TVM imports, compiles and computes right, untuned on one thread, and why the others do not.

    python benchmarks/tvm_models.py "det.onnx,x=1x3x320x320" "rawi.onnx,sequence=64" --write docs/tvm.md
    python benchmarks/tvm_models.py --import-only "rec.onnx,x=1x3x48x320" --write docs/tvm.md

A model is a path, followed by the sizes its file leaves open: `NAME=64` of a dimension (leading ones are 1),
`NAME=1x3x48x320` of an input, `NAME:16000` for the value of an input that decides branches. Outputs are compared with
ONNX Runtime's, its optimizations off, on one random input.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tvm_ladder import into_page

from roofline.errors import RooflineError
from roofline.markdown import markdown_table
from roofline.user_folders import cache_folder
from roofline.validate.measuring.measure import measure
from roofline.validate.measuring.runnable_model import make_runnable
from roofline.validate.records.request import Protocol, RunRequest
from roofline.validate.records.tuning import Tuning
from roofline.validate.tvm import setup
from roofline.validate.tvm.importing import import_model


def parse_request(text: str) -> RunRequest:
    """Return the run that a model and its sizes stand for."""
    path, *sizes = text.split(",")
    dims, inputs, values = dict[str, int](), dict[str, tuple[int, ...]](), dict[str, int]()
    for entry in sizes:
        name, _, value = entry.rpartition(":" if "=" not in entry else "=")
        if "=" not in entry:
            values[name] = int(value)
        elif "x" in value:
            inputs[name] = tuple(int(size) for size in value.split("x"))
        else:
            dims[name] = int(value)
    protocol = Protocol(runs=3, sampling_s=1.0, time_limit_s=600.0)
    return RunRequest(
        path, "tvm", dims=dims, inputs=inputs, values=values, tuning=Tuning.UNTUNED, threads=1, protocol=protocol,
    )  # fmt: skip


def row(request: RunRequest) -> tuple[str, str, str]:
    """Return a model's name, what came of it, and its largest relative error."""
    name = Path(request.network).name.removesuffix(".onnx")
    try:
        run = measure(request)
    except RooflineError as error:
        return name, f"**not run**: {error.message}", ""
    error = run.check.max_rel_error if run.check is not None else None
    result = "; ".join(["runs", *run.notes]) if run.ok else f"**{run.status.value}**: {run.reason}"
    return name, result, "" if error is None else f"{error:.0e}"


def import_row(request: RunRequest) -> tuple[str, str]:
    """Import a model, lowered as far as code is made of it, and return its name and what came of it."""
    name = Path(request.network).name.removesuffix(".onnx")
    start = time.process_time()
    try:
        made = make_runnable(
            request.network, binding=request.binding, seed=0, folder=cache_folder()
        )
    except RooflineError as error:
        return name, f"**not run**: {error.message}"
    try:
        notes = import_model(made.model, setup.local_target(setup.load_tvm(), 1)).notes
    except RooflineError as error:
        return name, f"**not imported**: {error.message}"
    except Exception as error:
        # Whatever TVM throws is what the table is to tell.
        text = str(error).strip().splitlines()
        return name, f"**not imported**: {type(error).__name__}: {text[-1] if text else ''}"
    return name, "; ".join(["imports", *notes, f"{time.process_time() - start:.0f} s"])


def main() -> None:
    """Run every model and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+")
    parser.add_argument(
        "--import-only",
        action="store_true",
        help="import and lower, without compiling and running",
    )
    parser.add_argument("--write", type=Path, help="page to write the table into")
    given = parser.parse_args()
    rows: list[tuple[str, ...]] = []
    for text in given.models:
        rows.append((import_row if given.import_only else row)(parse_request(text)))
        print(*rows[-1], file=sys.stderr, flush=True)
    header = ["model", "result", "largest relative error"][: len(rows[0])]
    table = markdown_table(header, rows, numbers_from=2)
    print(table)
    if given.write is not None:
        marks = "models imported" if given.import_only else "models"
        into_page(given.write, marks, f"{table}\n")


if __name__ == "__main__":
    main()
