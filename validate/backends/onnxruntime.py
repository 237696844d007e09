"""ONNX Runtime: the practical ceiling on a CPU, and the reference that all outputs must meet."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from roofline.node import Array
from roofline.validate.measuring.backend import (
    Arrays,
    Artifact,
    Report,
    Request,
    Session,
    backends,
)
from roofline.validate.measuring.environment import package_version
from roofline.validate.records.record import Job

REFERENCE = "onnxruntime, not optimized"
"""How the reference outputs were computed: one thread, every graph rewrite off."""


def reference(model: Path, inputs: Arrays) -> list[Array]:
    """Return a model's outputs, computed node by node as the file says.

    Args:
        model: An ONNX file with weights.
        inputs: Its inputs by name.
    """
    session = _session(model, 1, optimize=False)
    return list(session.run(None, dict(inputs)))


class OnnxRuntimeSession:
    """A model in ONNX Runtime, with inputs bound so that no copy is timed."""

    def __init__(self, model: Path, threads: int) -> None:
        self._session = _session(model, threads, optimize=True)
        self._binding: Any = self._session.io_binding()

    def bind(self, inputs: Arrays) -> None:
        """Put the inputs where the runtime reads them, and let it place the outputs."""
        for name, array in inputs.items():
            self._binding.bind_cpu_input(name, array)
        for entry in self._session.get_outputs():
            self._binding.bind_output(entry.name)

    def step(self) -> None:
        """Run once."""
        self._session.run_with_iobinding(self._binding)

    def outputs(self) -> Sequence[Array]:
        """Return the outputs of the last run."""
        return self._binding.copy_outputs_to_cpu()


class OnnxRuntimeBackend:
    """Runs a model as it is on ONNX Runtime's CPU provider, with all its graph rewrites."""

    title = "ONNX Runtime"
    tunings: tuple[str, ...] = ("none",)

    def missing(self) -> str:
        """Return ``onnxruntime`` when it is not installed."""
        return "" if importlib.util.find_spec("onnxruntime") else "onnxruntime"

    def environment(self, job: Job) -> Mapping[str, str]:
        """Return the thread count for whatever part honours it."""
        return {"OMP_NUM_THREADS": str(job.threads)}

    def versions(self) -> Mapping[str, str]:
        """Return the runtime's version."""
        return {"onnxruntime": package_version("onnxruntime")}

    def prepare(self, request: Request, report: Report) -> Artifact:  # noqa: ARG002
        """Return the model itself: the runtime optimizes it while loading."""
        return Artifact(request.model, compiled_for="CPUExecutionProvider")

    def load(self, request: Request, artifact: Artifact) -> Session:
        """Load and optimize the model."""
        return OnnxRuntimeSession(artifact.path, request.job.threads)


def in_memory_session(model: bytes, threads: int) -> Any:
    """Return an optimized session of a serialized model."""
    return _session(model, threads, optimize=True)


def _session(model: Path | bytes, threads: int, *, optimize: bool) -> Any:
    ort: Any = importlib.import_module("onnxruntime")
    levels = ort.GraphOptimizationLevel
    ort.set_default_logger_severity(3)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    level = levels.ORT_ENABLE_ALL if optimize else levels.ORT_DISABLE_ALL
    options.graph_optimization_level = level
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


backends.add("onnxruntime", OnnxRuntimeBackend())
