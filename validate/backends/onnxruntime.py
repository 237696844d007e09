"""ONNX Runtime: the practical ceiling on a CPU, and the reference that all outputs must meet."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from roofline.node import Array
from roofline.progress import Report
from roofline.temporary import temporary_folder
from roofline.validate.measuring.backend import (
    Arrays,
    Artifact,
    Capabilities,
    Request,
    Session,
    backends,
)
from roofline.validate.measuring.decoder_model import shared_caches
from roofline.validate.measuring.environment import package_version
from roofline.validate.measuring.products import (
    product_datatypes,
    storage_form,
    stored_bits,
    widens_in_blocks,
    with_magnitudes,
)
from roofline.validate.records.executed import Executed, StoredAs, describe_execution
from roofline.validate.records.request import RunRequest

REFERENCE = "onnxruntime, not optimized"
"""How the reference outputs were computed: one thread, every graph rewrite off."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What a model should compute."""

    outputs: Sequence[Array]
    magnitude: float
    """Largest magnitude of a product's result; 0 where it could not be had."""
    datatypes: Sequence[str]
    """Of what the file's own products multiply."""


def reference(model: Path, inputs: Arrays) -> Reference:
    """Return a model's outputs, computed node by node as the file says.

    Args:
        model: An ONNX file with weights.
        inputs: Its inputs by name.
    """
    given = dict(inputs)
    session = _session(model, 1, optimize=False)
    names = [entry.name for entry in session.get_outputs()]
    onnx: Any = importlib.import_module("onnx")
    datatypes = sorted(product_datatypes(onnx.load(model, load_external_data=False)))
    watched = with_magnitudes(model)
    if watched is None:
        return Reference(session.run(names, given), 0.0, datatypes)
    try:
        found = _session(watched, 1, optimize=False).run(None, given)
    except Exception:
        # A result that cannot be watched, of a datatype without these operators: the check has no floor then.
        return Reference(session.run(names, given), 0.0, datatypes)
    largest = max(float(value) for value in found[len(names) :])
    return Reference(found[: len(names)], largest, datatypes)


class OnnxRuntimeSession:
    """A model in ONNX Runtime, with inputs bound so that no copy is timed."""

    def __init__(
        self,
        model: Path,
        threads: int,
        shared: Mapping[str, str] | None = None,
        *,
        in_turn: bool = False,
    ) -> None:
        self._session = _session(model, threads, optimize=True, in_turn=in_turn)
        self._binding: Any = self._session.io_binding()
        self._shared = shared or {}
        """Of each output that lies where an input does, the input's name."""
        self._placed: dict[str, object] = {}
        self._always_place = False

    def bind(self, inputs: Arrays) -> None:
        """Put the inputs where the runtime reads them, and let it place the outputs."""
        values: Any = importlib.import_module("onnxruntime").OrtValue
        shared = {name: values.ortvalue_from_numpy(inputs[name]) for name in self._shared.values()}
        for name, array in inputs.items():
            if name in shared:
                self._binding.bind_ortvalue_input(name, shared[name])
            else:
                self._binding.bind_cpu_input(name, array)
        self._placed = shared
        self._place_outputs()

    def step(self) -> None:
        """Run once."""
        if self._always_place:
            self._place_outputs()
        try:
            self._session.run_with_iobinding(self._binding)
        except RuntimeError:
            # The runtime keeps where outputs lie from run to run, and refuses them where the file declares another
            # shape than it computes: such outputs are placed anew for every run.
            if self._always_place:
                raise
            self._always_place = True
            self.step()

    def _place_outputs(self) -> None:
        self._binding.clear_binding_outputs()
        for entry in self._session.get_outputs():
            if entry.name in self._shared:
                self._binding.bind_ortvalue_output(
                    entry.name, self._placed[self._shared[entry.name]]
                )
            else:
                self._binding.bind_output(entry.name)

    def outputs(self) -> Sequence[Array]:
        """Return the outputs of the last run."""
        return self._binding.copy_outputs_to_cpu()


class OnnxRuntimeBackend:
    """Runs a model as it is on ONNX Runtime's CPU provider, with all its graph rewrites."""

    title = "ONNX Runtime"
    capabilities = Capabilities(loads_models=True)

    def missing(self) -> str:
        """Return ``onnxruntime`` when it is not installed."""
        return "" if importlib.util.find_spec("onnxruntime") else "onnxruntime"

    def environment(self, job: RunRequest) -> Mapping[str, str]:
        """Return the thread count for whatever part honours it."""
        return {"OMP_NUM_THREADS": str(job.threads)}

    def versions(self) -> Mapping[str, str]:
        """Return the runtime's version."""
        return {"onnxruntime": package_version("onnxruntime")}

    def prepare(self, request: Request, report: Report) -> Artifact:  # noqa: ARG002
        """Return the model itself, and what it computes in: the runtime optimizes it while loading."""
        return Artifact(
            request.model,
            compiled_for="CPUExecutionProvider",
            executed=_executed_datatypes(request.model, request.job.threads),
        )

    def load(self, request: Request, artifact: Artifact) -> Session:
        """Load and optimize the model."""
        shared: Mapping[str, str] = {}
        if request.job.phase:
            onnx: Any = importlib.import_module("onnx")
            shared = shared_caches(onnx.load(artifact.path, load_external_data=False))
        return OnnxRuntimeSession(
            artifact.path, request.job.threads, shared, in_turn=request.in_turn
        )


def _executed_datatypes(model: Path, threads: int) -> Executed:
    """Return what the products are computed in, read from the graph as the runtime has rewritten it."""
    onnx: Any = importlib.import_module("onnx")
    whole = onnx.load(model, load_external_data=False)
    with temporary_folder() as folder:
        rewritten = Path(folder) / "model.onnx"
        # Weights beside the graph: neither file need hold more than a protobuf may.
        _session(model, threads, optimize=True, keep=rewritten)
        graph = onnx.load(rewritten, load_external_data=False)
    stored = storage_form(whole)
    if stored is not None and widens_in_blocks(graph):
        stored = StoredAs.IN_BLOCKS
    found = describe_execution(product_datatypes(graph))
    widened = stored is not None and any(
        name.startswith("fp") for name in (found.datatype, *found.others)
    )
    if not widened:
        return found
    return replace(found, stored=stored, stored_bits=stored_bits(whole))


def in_memory_session(model: bytes, threads: int) -> Any:
    """Return an optimized session of a serialized model."""
    return _session(model, threads, optimize=True)


def _session(
    model: Path | bytes,
    threads: int,
    *,
    optimize: bool,
    keep: Path | None = None,
    in_turn: bool = False,
) -> Any:
    ort: Any = importlib.import_module("onnxruntime")
    levels = ort.GraphOptimizationLevel
    ort.set_default_logger_severity(3)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    level = levels.ORT_ENABLE_ALL if optimize else levels.ORT_DISABLE_ALL
    options.graph_optimization_level = level
    # Products of narrow weights stay in floating point, as the file says; by default the activations go to 8 bits.
    options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "1")
    if in_turn:
        # Threads wait for the next run by spinning, for tens of milliseconds: on the cores of another session.
        options.add_session_config_entry("session.force_spinning_stop", "1")
    if keep is not None:
        options.optimized_model_filepath = str(keep)
        external = "session.optimized_model_external_initializers_file_name"
        options.add_session_config_entry(external, "weights")
        options.add_session_config_entry(
            "session.optimized_model_external_initializers_min_size_in_bytes", "1024"
        )
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


backends.add("onnxruntime", OnnxRuntimeBackend())
