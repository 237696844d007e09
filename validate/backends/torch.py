"""PyTorch, eager and compiled: the way to a GPU where TVM's wheel has no code generator for it.

Products of fp32 are computed in fp32 on a GPU too: torch would round the operands of convolutions to TF32 by default.
"""

# torch is optional and its stubs are partial; everything in this module is a torch call.
# pyright: basic

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from typing import Any

from roofline.node import Array
from roofline.progress import Report
from roofline.validate.measuring.backend import (
    DEVICE,
    Arrays,
    Artifact,
    Capabilities,
    Request,
    RunError,
    Session,
    backends,
)
from roofline.validate.measuring.environment import package_version
from roofline.validate.records.executed import Executed
from roofline.validate.records.request import RunRequest
from roofline.validate.records.tuning import Tuning

_KINDS = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16", "fp64": "float64"}
_CUDA = "cuda"
_MODES = {"cpu": "default", _CUDA: "reduce-overhead"}
"""How torch compiles for a device: on a GPU the kernels of a step are launched at once, as one graph."""


class TorchSession:
    """A module on a device, its inputs already there; a step waits until the device is done."""

    def __init__(self, module: Any, device: str, datatype: str, *, compiled: bool) -> None:
        self._torch: Any = importlib.import_module("torch")
        self._device, self._kind = device, getattr(self._torch, _KINDS[datatype])
        module = module.eval().to(device)
        if datatype != "fp32":
            module = module.to(self._kind)
        self._names: Sequence[str] = module.input_names
        self._module = (
            self._torch.compile(module, mode=_MODES[device], dynamic=False) if compiled else module
        )
        self._inputs: list[Any] = []
        self._outputs: Sequence[Any] = ()

    @property
    def accelerator(self) -> str:
        """Name of the GPU, as its driver calls it; empty on the CPU."""
        return self._torch.cuda.get_device_name() if self._device == _CUDA else ""

    def bind(self, inputs: Arrays) -> None:
        """Copy the inputs to the device, in the datatype asked for."""
        from roofline.validate.torch_runtime.table import from_array

        tensors = [from_array(inputs[name]).to(self._device) for name in self._names]
        self._inputs = [
            entry.to(self._kind) if entry.is_floating_point() else entry for entry in tensors
        ]
        if self._device == _CUDA:
            # They stay where they are: a graph of kernels needs no copy of them, and may write into a cache.
            for entry in self._inputs:
                self._torch._dynamo.mark_static_address(entry)

    def step(self) -> None:
        """Run once; on a GPU, return when its queue is empty."""
        with self._torch.inference_mode():
            self._outputs = self._module(*self._inputs)
        if self._device == _CUDA:
            self._torch.cuda.synchronize()

    def outputs(self) -> Sequence[Array]:
        """Return the outputs of the last step in fp32, or as integers."""
        return [
            (entry.float() if entry.is_floating_point() else entry).cpu().numpy()
            for entry in self._outputs
        ]


class TorchBackend:
    """Runs an ONNX graph as torch functions: ``untuned`` is eager, ``tuned`` goes through ``torch.compile``."""

    title = "PyTorch"
    capabilities = Capabilities(tunings=(Tuning.UNTUNED, Tuning.TUNED), devices=("cpu", _CUDA))

    def missing(self) -> str:
        """Return ``torch`` when it is not installed."""
        return "" if importlib.util.find_spec("torch") else "torch"

    def environment(self, job: RunRequest) -> Mapping[str, str]:
        """Return the thread counts that must be set before torch is imported."""
        return {"OMP_NUM_THREADS": str(job.threads), "MKL_NUM_THREADS": str(job.threads)}

    def versions(self) -> Mapping[str, str]:
        """Return the version of torch."""
        return {"torch": package_version("torch")}

    def prepare(self, request: Request, report: Report) -> Artifact:
        """Check that every operator has a function; the module itself is built where it runs.

        Raises:
            UnsupportedModelError: The model holds an operator that has none.
            RunError: A GPU is asked for and torch finds none.
        """
        from roofline.validate.torch_runtime.graph import build_module

        report("reading the graph", 0, 1)
        device = _device(request.job)
        build_module(request.model)
        notes = (
            ("eager mode: no kernel was fused",) if request.job.tuning is not Tuning.TUNED else ()
        )
        return Artifact(
            request.model,
            compiled_for=f"torch {device}",
            executed=Executed(_datatype(request.job)),
            notes=notes,
        )

    def load(self, request: Request, artifact: Artifact) -> Session:
        """Build the module, move it to its device, and compile it when tuned."""
        from roofline.validate.torch_runtime.graph import build_module

        torch: Any = importlib.import_module("torch")
        torch.set_num_threads(request.job.threads)
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        job = request.job
        return TorchSession(
            build_module(artifact.path),
            _device(job),
            _datatype(job),
            compiled=job.tuning is Tuning.TUNED,
        )


def _datatype(job: RunRequest) -> str:
    """Return what the module computes in: what is asked for, where torch has it."""
    return job.datatype if job.datatype in _KINDS else "fp32"


def _device(job: RunRequest) -> str:
    """Return what a model runs on: what is asked for, else a GPU where there is one."""
    torch: Any = importlib.import_module("torch")
    asked, there = str(job.options.get(DEVICE, "")), torch.cuda.is_available()
    if asked == _CUDA and not there:
        raise RunError(
            f"torch {torch.__version__} finds no GPU",
            repair="Ask for --device cpu, or install a torch that is built for the GPU's driver",
        )
    return asked or (_CUDA if there else "cpu")


backends.add("torch", TorchBackend())
