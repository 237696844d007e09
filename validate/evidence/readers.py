"""Reads evidence from any file that holds runs: a table of published runs, a record store, or its export."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

import numpy as np

from roofline import load
from roofline.errors import RooflineError, TableError
from roofline.model import choose_unit
from roofline.model._network_facts import class_of, facts_of
from roofline.model._run_facts import Facts, join_facts
from roofline.reading import CsvTable, JsonObject, as_object, read_json
from roofline.spec import Platform, platform
from roofline.validate.analysis.counting import compress_network, count_network
from roofline.validate.evidence.by_graph import published_runtimes
from roofline.validate.evidence.cells import optional_number
from roofline.validate.evidence.evidence import Evidence, RunContext, names
from roofline.validate.evidence.forms import Form, Source, read_source
from roofline.validate.evidence.published import published_runs
from roofline.validate.evidence.rate_counts import counts_at, graph_of
from roofline.validate.evidence.rates import facts_at, machine_of, read_rates
from roofline.validate.records.files import import_csv, import_json
from roofline.validate.records.record import Measurement, Reported, Status
from roofline.validate.records.request import RunRequest
from roofline.validate.records.store import Store
from roofline.validate.records.tuning import Tuning


def read_evidence(
    path: Path, *, machines: Sequence[Platform] = (), networks: Sequence[Path] = ()
) -> Evidence:
    """Read the runs of a file.

    Args:
        path: A CSV of published runs or of rates, a CSV or JSON export of records, what ``validate`` wrote as CSV or
            JSON, or a record store.
        machines: What records name as their machine beside the shipped ones: files of ``roofline calibrate``.
        networks: ONNX files that records name beside the shipped networks.

    Raises:
        TableError: It is none of them, or has no run that can be placed.
    """
    return evidence_of(read_source(path), machines=machines, networks=networks)


def evidence_of(
    source: Source, *, machines: Sequence[Platform] = (), networks: Sequence[Path] = ()
) -> Evidence:
    """Return the runs of a file that was read; the same as `read_evidence` of its path.

    Raises:
        TableError: It has no run that can be placed.
    """
    if source.form is Form.PUBLISHED or (
        not source.form.recorded and _STATED & {*source.table.header}
    ):
        return published_runs(source.table, str(source.path), source.sha256)
    if not source.form.recorded:
        return evidence_of_rates(source, machines, networks)
    placing = Placing({entry.key: entry for entry in machines}, networks)
    return evidence_of_records(_records(source), source.sha256, placing)


_STATED = {"gmacs", "peak_op_s"}
"""Columns of which a table that names no shipped network has to have all: it is to be one of published runs."""


def evidence_of_rates(
    source: Source, machines: Sequence[Platform], networks: Sequence[Path]
) -> Evidence:
    """Return the runs of a table of rates: counts are of the graphs, roofs of the machines' platform files.

    Raises:
        TableError: A row names a machine without a platform file, a network that is neither shipped nor a file, or a
            rate that cannot be.
    """
    rates = read_rates(source.table, str(source.path))
    graphs = [graph_of(rate, networks) for rate in rates]
    platforms = [machine_of(rate, machines) for rate in rates]
    known = published_runtimes()
    facts = join_facts(
        [
            facts_at(
                rate,
                counts_at(rate, graph),
                machine,
                runtime=rate.runtime if rate.runtime in known else None,
            )
            for rate, graph, machine in zip(rates, graphs, platforms, strict=True)
        ]
    )
    named = names([rate.network for rate in rates])
    return Evidence(
        facts, named, named, facts.machine, names([rate.runtime for rate in rates]),
        np.asarray([rate.fps for rate in rates], np.float64), source.sha256,
        tuple(
            {**row, "key": machine.key, "datatype": rate.datatype, "batch": str(rate.batch),
             "fps": repr(rate.fps)}
            for row, rate, machine in zip(source.table.rows, rates, platforms, strict=True)
        ),
        # Models that need graphs have nothing to say of networks whose layers alone are known.
        tuple(
            RunContext(graph, machine)
            for graph, machine in zip(graphs, platforms, strict=True)
            if graph is not None
        ) if None not in graphs else (),
    )  # fmt: skip


def _records(source: Source) -> tuple[Measurement, ...]:
    match source.form:
        case Form.STORE:
            with Store(source.path, writable=False) as store:
                return tuple(store.records())
        case Form.DOCUMENT:
            return tuple(import_json(_records_alone(source.text)))
        case Form.RECORDS:
            return tuple(import_csv(source.text))
        case _:
            return runs_of_comparisons(source.table)


_PUBLISHED = {("torch", Tuning.TUNED): "pt-compile", ("torch", Tuning.UNTUNED): "pt-eager"}

_FIELDS = frozenset(field.name for field in fields(Measurement))


def _records_alone(text: str) -> str:
    """Return a document of records without the columns for people that ``validate`` and ``measure`` put beside."""
    document = read_json(text, "the records")
    whole = as_object(document)
    entries = whole.get("measurements")
    if not isinstance(entries, list):
        return text
    kept = [_record_alone(entry) for entry in cast("list[Any]", entries)]
    return json.dumps({"measurements": kept})


def _record_alone(entry: object) -> object:
    if not isinstance(entry, dict):
        return entry
    row = cast("JsonObject", entry)
    return {name: value for name, value in row.items() if name in _FIELDS or "job" not in row}


def runtime_of(run: RunRequest) -> str:
    """Return what published runs call the runtime of a run."""
    return _PUBLISHED.get((run.backend, run.tuning), run.backend)


def runs_of_comparisons(table: CsvTable) -> tuple[Measurement, ...]:
    """Return the runs behind the comparisons of ``roofline validate``, each once whatever models it was compared with.

    Raises:
        TableError: A number is none.
    """
    found: dict[tuple[str, ...], Measurement] = {}
    for place, row in enumerate(table.rows, 1):
        if row["status"] != Status.OK or row.get("phase"):
            # Rates of decoders are of tokens; tables of those have a law of their own.
            continue
        fps, batch = (optional_number(row, name) for name in ("measured_fps", "batch"))
        if not (fps > 0 and batch >= 1):
            raise TableError(
                f"row {place}: measured_fps is {row['measured_fps']!r} at batch {row['batch']!r}",
                repair="Give the table as roofline validate --format csv writes it",
            )
        if row.get("pruning", "dense") != "dense":
            # The table names what was taken from a network for people; its records say it in full.
            continue
        backend, _, tuning = row["backend"].partition(" ")
        job = RunRequest(
            row["network"], backend, datatype=row["datatype"], batch=int(batch), tuning=Tuning.of(tuning),
            threads=int(optional_number(row, "threads", 0.0)),
        )  # fmt: skip
        run = Measurement(
            job, Status.OK, machine=row["platform"],
            reported=Reported("roofline validate", throughput_fps=fps),
        )  # fmt: skip
        key = tuple(
            row[name]
            for name in ("network", "platform", "datatype", "batch", "backend", "measured_fps")
        )
        found.setdefault(key, run)
    return tuple(found.values())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Placing:
    """The machines and networks that records name: those that are shipped, and those at hand."""

    def __init__(self, machines: Mapping[str, Platform], networks: Sequence[Path]) -> None:
        """Learn what is at hand.

        Args:
            machines: By key.
            networks: ONNX files; records know them by their digest, else by the name of the file.
        """
        self._machines = machines
        self._networks = {path.stem: path for path in networks}
        self._networks |= {_digest(path.read_bytes()): path for path in networks}

    def place(self, run: Measurement) -> RunContext:
        """Return the network and the machine of a run.

        Raises:
            RooflineError: One of them is not known, or the network cannot be counted so.
        """
        job = run.job
        machine = self._machines.get(run.machine)
        if machine is None:
            machine = platform(run.machine)
        path = self._networks.get(job.model_sha256) or self._networks.get(job.network)
        if path is None:
            return RunContext(
                count_network(job.network, job.compression, job.datatype, job.batch), machine
            )
        whole = load(
            path, batch=job.batch or None, dims=job.dims, inputs=job.inputs, values=job.values
        )
        return RunContext(compress_network(whole, job.compression, job.datatype), machine)


def evidence_of_records(
    measurements: tuple[Measurement, ...], sha256: str, placing: Placing | None = None
) -> Evidence:
    """Return records as evidence: those of known networks on machines that have a platform.

    Args:
        measurements: The records.
        sha256: Digest of the file they were read from.
        placing: What is at hand beside what is shipped.

    Raises:
        TableError: No record is of such a network and machine.
    """
    placing = placing or Placing({}, ())
    facts: list[Facts] = []
    kept: list[Measurement] = []
    placed: list[RunContext] = []
    why = "there is none"
    for measurement in measurements:
        if not measurement.throughput_fps:
            continue
        if measurement.job.phase:
            why = f"{measurement.job.shown} is a phase of a decoder, which tables of tokens_per_s tell"
            continue
        job = measurement.job
        try:
            where = placing.place(measurement)
            machine, datatype = where.platform, measurement.operands
            facts.append(
                facts_of(
                    where.workload, machine, machine_class=class_of(machine) or machine.kind,
                    runtime=runtime_of(job), datatype=datatype, unit=choose_unit(machine, datatype)[0],
                    batch=max(job.batch, 1), cores=float(job.threads or 1), in_flight=False,
                )
            )  # fmt: skip
        except RooflineError as reason:
            why = str(reason)
            continue
        kept.append(measurement)
        placed.append(where)
    if not kept:
        raise TableError(
            f"no record has a network and a machine that can be placed: {why}",
            repair="Name the machine's file with -p and the networks' files with --network, where they are not shipped",
        )
    whole = join_facts(facts)
    networks = names([m.job.network for m in kept])
    return Evidence(
        whole, networks, networks, whole.machine, names([runtime_of(m.job) for m in kept]),
        np.asarray([m.throughput_fps for m in kept], np.float64), sha256,
        tuple(
            {"network": m.job.network, "machine": m.machine, "runtime": runtime_of(m.job),
             "datatype": m.operands, "batch": str(max(m.job.batch, 1)), "fps": str(m.throughput_fps)}
            for m in kept
        ),
        tuple(placed),
    )  # fmt: skip
