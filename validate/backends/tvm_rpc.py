"""Apache TVM on boards: compiled here for the board's processor, sent over TVM's RPC, run and timed there.

Job options: ``rpc_key`` names the boards, ``rpc_target`` their processor (empty: the board is asked). The tracker's
address is in the environment variable ``ROOFLINE_RPC_TRACKER``: where boards are reached makes no run another one.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from roofline.progress import Report
from roofline.validate.backends.tvm import TvmBackend, computation
from roofline.validate.measuring.backend import (
    Artifact,
    Request,
    Session,
    backends,
    keep_artifact,
    kept_artifact,
)
from roofline.validate.records.request import RunRequest
from roofline.validate.records.tuning import Tuning
from roofline.validate.tvm import setup
from roofline.validate.tvm.boards.target import parse_target
from roofline.validate.tvm.boards.tracker import WAIT_S


class TvmRpcBackend:
    """Runs a model on a board that serves a key at an RPC tracker."""

    title = "Apache TVM over RPC"
    capabilities = replace(
        TvmBackend.capabilities,
        tunings=(Tuning.UNTUNED,),
        times_kernels=False,
        waiting_s=WAIT_S,
        board_backend="tvm-rpc",
    )

    def missing(self) -> str:
        """Return the package that is not installed: TVM, or what its RPC needs."""
        for module, package in (("tvm", "apache-tvm"), ("tornado", "tornado"),
                                ("cloudpickle", "cloudpickle")):  # fmt: skip
            if importlib.util.find_spec(module) is None:
                return package
        return ""

    def environment(self, job: RunRequest) -> Mapping[str, str]:
        """Return one thread for compiling: the board's threads are set there."""
        del job
        return {"TVM_NUM_THREADS": "1"}

    def versions(self) -> Mapping[str, str]:
        """Return the versions of TVM and of its ffi here."""
        return setup.versions()

    def prepare(self, request: Request, report: Report) -> Artifact:
        """Compile for the board's processor, once for all boards that have it."""
        from roofline.validate.tvm.boards.session import Connection, export

        job = request.job
        computation(job)
        described = str(job.options.get("rpc_target", ""))
        if described:
            target = parse_target(described, job.threads)
        else:
            report("asking the board for its processor", 0, 1)
            target = Connection(_key(job), 60.0).target(job.threads)
        folder = _folder(request, target)
        kept = folder / "program.json"
        found = None if request.fresh else kept_artifact(kept)
        if found is not None:
            return found
        report("compiling", 0, 1)
        made = _compile(request, target, folder, export)
        keep_artifact(made, kept)
        return made

    def load(self, request: Request, artifact: Artifact) -> Session:
        """Take a board, send it the program and load it there."""
        from roofline.validate.tvm.boards.session import BoardSession, Connection

        job, details = request.job, artifact.details
        connection = Connection(_key(job), job.protocol.time_limit_s)
        return BoardSession(
            connection, artifact.path, details["inputs"], job.threads, details["target"]
        )


def _key(job: RunRequest) -> str:
    return str(job.options.get("rpc_key") or job.target)


def _folder(request: Request, target: setup.TargetDescription) -> Path:
    return setup.kept_folder(
        request.folder / "tvm-rpc", [request.model.parent.name, dict(target)], []
    )


def _compile(
    request: Request, description: setup.TargetDescription, folder: Path, export: Any
) -> Artifact:
    from roofline.validate.tvm.importing import import_model, input_names
    from roofline.validate.tvm.tuning import metaschedule as _tvm_tune

    tvm = setup.load_tvm()
    target = tvm.target.Target(dict(description))
    start = time.monotonic()
    imported = import_model(request.model, target, computation(request.job))
    module = imported.module
    untuned = _tvm_tune.unscheduled_kernels(module)
    folder.mkdir(parents=True, exist_ok=True)
    library: Path = export(tvm.compile(module, target), folder / "program", description)
    return Artifact(
        library,
        compiled_for=f"llvm -mtriple={description.get('mtriple', 'host')} -mcpu={description.get('mcpu', '')}"
        f" -num-cores={description['num-cores']}",
        executed=imported.executed,
        compile_s=time.monotonic() - start,
        kernels=len(untuned),
        untuned_kernels=tuple(untuned),
        notes=imported.notes,
        details={"inputs": list(input_names(module)), "target": dict(description)},
    )


backends.add("tvm-rpc", TvmRpcBackend())
