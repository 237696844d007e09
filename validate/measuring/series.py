"""Runs of several networks on several backends, each record kept as soon as there is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

from roofline.errors import OptionError, own_spelling, printable
from roofline.labels import labels
from roofline.progress import Progress
from roofline.surfaces import ALGORITHM, TUNING, argument
from roofline.validate.measuring.backend import DEVICE, ONE_WAY, backends
from roofline.validate.measuring.decoder_model import Stage
from roofline.validate.measuring.measure import measure
from roofline.validate.records.compression import Compression
from roofline.validate.records.record import Measurement
from roofline.validate.records.request import RunRequest
from roofline.validate.records.store import Store


def measure_each(
    asked: RunRequest,
    models: Sequence[str],
    variants: Sequence[tuple[str, Compression]],
    backend_names: Sequence[str],
    store: Store,
    *,
    machine: str = "",
    per_layer: bool = False,
    fresh: bool = False,
    stages: Sequence[Stage] = (),
    progress: Progress,
) -> list[Measurement]:
    """Run every network on every backend.

    Args:
        asked: How they are run; network, backend and compression are those of the other arguments.
        models: What the user named, each once.
        variants: For each of them the file to run, and what was taken from it.
        backend_names: Names of backends.
        store: Where each record goes.
        machine: Key of the platform they run on, for the records.
        per_layer: Whether single kernels are timed too, where a backend can.
        fresh: Whether kept compiled programs and tuning results are made again.
        stages: Of decoders, the parts that are run, each by itself.
        progress: Called with what is run; tells of its progress meanwhile.

    Returns:
        The records, in which files of one name in several folders are told apart.

    Raises:
        RooflineError: A model cannot be read, or a backend cannot run as asked.
    """
    done: list[Measurement] = []
    stems = [printable(Path(model).stem) for model in models]
    names = labels(stems, list(models))
    for stem, label, (model, compression) in zip(stems, names, variants, strict=True):
        for name, stage in product(backend_names, stages or (None,)):
            own = replace(asked, network=model, backend=name, compression=compression)
            if stage is not None:
                own = replace(own, phase=stage.phase.value, context=stage.context)
            with progress(f"{label} on {name}") as report:
                request = for_backend(own, per_layer=per_layer)
                record = measure(request, machine=machine, fresh=fresh, report=report)
            if label != stem:
                record = replace(record, job=replace(record.job, network=label))
            store.add(record)
            done.append(record)
    return done


def check_backends(asked: RunRequest, backend_names: Sequence[str]) -> None:
    """Refuse, before anything is read or compiled, what a backend cannot do.

    Raises:
        RooflineError: A backend is not known, or cannot run as asked; or none has a choice of what is chosen.
    """
    ready = [for_backend(replace(asked, backend=name)) for name in backend_names]
    able = [backends.get(each.backend).capabilities for each in ready]
    named = ", ".join(dict.fromkeys(each.backend for each in ready))
    if own_spelling(asked.algorithm, ONE_WAY) is None and all(each.has_one_way for each in able):
        raise _no_choice(ALGORITHM.at(asked.algorithm), f"{named} has no choice of algorithms")
    if asked.tuning and not any(each.has_tunings or asked.tuning in each.tunings for each in able):
        raise _no_choice(TUNING.at(asked.tuning), f"{named} has nothing to tune")


def _no_choice(asked: str, why: str) -> OptionError:
    return OptionError(
        f"{asked}: {why}", repair=f"Leave it out, or use {argument('backend').at('tvm')}"
    )


def for_backend(request: RunRequest, *, per_layer: bool = False) -> RunRequest:
    """Return a request with a tuning and an algorithm that its backend knows, when it has no choice of them.

    Names get their own spelling.
    A sparse format for which the backend has kernels is asked of it; others only decide what is predicted.
    Times of single kernels are asked of backends that can give them.

    Raises:
        MeasurementError: No backend has that name.
        OptionError: The backend tunes, but not like this, has other algorithms, or runs on no such device.
    """
    request = replace(request, backend=backends.name_of(request.backend))
    able = backends.get(request.backend).capabilities
    device = own_spelling(str(request.options.get(DEVICE, able.devices[0])), able.devices)
    if device is None:
        raise OptionError(
            f"{request.backend} does not run on {argument('device').at(request.options[DEVICE])}",
            repair=f"Use {argument('device').at(' or '.join(able.devices))}",
        )
    if DEVICE in request.options:
        request = replace(request, options={**request.options, DEVICE: device})
    unknown = f"{request.backend} has no {ALGORITHM.at(request.algorithm)}"
    request = replace(request, algorithm=able.choose_algorithm(request.algorithm, unknown))
    form = request.compression.sparse_format
    if form in able.sparse_formats:
        request = replace(request, options={**request.options, "sparse_format": form})
    if per_layer and able.times_kernels:
        request = replace(request, options={**request.options, "per_layer": True})
    if request.tuning and request.tuning not in able.tunings:
        if not able.has_tunings:
            return replace(request, tuning="")
        known = " or ".join(able.tunings)
        raise OptionError(f"{TUNING.at(request.tuning)} is not known", repair=f"Use {known}")
    return request
