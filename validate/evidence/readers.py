"""Reads evidence from any file that holds runs: a table of published runs, a record store, or its export."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from roofline.errors import RooflineError, TableError
from roofline.model._network_facts import class_of, facts_of
from roofline.model._time_law import Facts, joined
from roofline.reading import csv_header, read_bytes
from roofline.spec import platform
from roofline.validate.analysis.counted import counted
from roofline.validate.evidence.evidence import Evidence, names
from roofline.validate.evidence.published import COLUMNS, read_published
from roofline.validate.records.files import import_csv, import_json
from roofline.validate.records.record import Measurement
from roofline.validate.records.store import Store


def read_evidence(path: Path) -> Evidence:
    """Read the runs of a file.

    Args:
        path: A CSV of published runs, a CSV or JSON export of records, or a record store.

    Raises:
        TableError: It is none of them, or has no run that can be placed.
    """
    content = read_bytes(path, "table of evidence")
    if content.startswith(b"SQLite format 3"):
        with Store(path, writable=False) as store:
            return stored(tuple(store.records()), _digest(content))
    text = content.decode(errors="replace").removeprefix("\ufeff")
    if text.lstrip().startswith("{"):
        return stored(tuple(import_json(text)), _digest(content))
    header = csv_header(text.split("\n", 1)[0])
    if "record" in header and not set(COLUMNS) <= set(header):
        return stored(tuple(import_csv(text)), _digest(content))
    return read_published(path)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def stored(measurements: tuple[Measurement, ...], sha256: str) -> Evidence:
    """Return records as evidence: those of shipped networks on machines that have a platform.

    Raises:
        TableError: No record is of such a network and machine.
    """
    facts: list[Facts] = []
    kept: list[Measurement] = []
    why = "there is none"
    for measurement in measurements:
        if not measurement.throughput_fps:
            continue
        job = measurement.job
        try:
            machine = platform(measurement.machine)
            name = class_of(machine) or machine.kind
            workload = counted(job.network, job.compression, job.datatype, job.batch)
            facts.append(
                facts_of(
                    workload, machine, machine_class=name, runtime=job.backend, datatype=job.datatype,
                    unit=job.datatype, batch=job.batch, cores=float(job.threads or 1), in_flight=False,
                )
            )  # fmt: skip
        except RooflineError as reason:
            why = str(reason)
            continue
        kept.append(measurement)
    if not kept:
        raise TableError(
            f"no record has a network and a machine that can be placed: {why}",
            repair="Records need a shipped network, and a shipped platform's key as their machine",
        )
    whole = joined(facts)
    networks = names([m.job.network for m in kept])
    return Evidence(
        whole, networks, networks, whole.machine, names([m.job.backend for m in kept]),
        np.asarray([m.throughput_fps for m in kept], np.float64), sha256,
        tuple(
            {"network": m.job.network, "machine": m.machine, "runtime": m.job.backend,
             "datatype": m.job.datatype, "batch": str(m.job.batch), "fps": str(m.throughput_fps)}
            for m in kept
        ),
    )  # fmt: skip
