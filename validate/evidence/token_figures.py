"""Figures of a machine, a few measured rates of decoders, that correct what is expected of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from roofline._load import decoder
from roofline._sweep import Omission
from roofline.compression_flags import compress_by_flags
from roofline.decoding.request import CONTEXT, Phase, Request
from roofline.errors import OptionError, TableError, did_you_mean
from roofline.expected_tokens import figure_of
from roofline.model.decoder_laws import Figure
from roofline.number_format import plural
from roofline.serving import cases
from roofline.tables import with_columns
from roofline.validate.evidence.cells import number_of
from roofline.validate.evidence.forms import read_source
from roofline.validate.evidence.rates import machine_called, spell_columns

if TYPE_CHECKING:
    from roofline.spec import Platform
    from roofline.workload import Workload

COLUMNS = ("machine", "network", "datatype", "tokens_per_s")
"""What a table of figures of decoders has to have."""
OPTIONAL = ("phase", "context", "new_tokens", "batch", "devices")
"""What it may have, where they are known."""
_NEW_TOKENS = 128
"""Tokens behind a prompt where a figure names none."""
_OVER = 1.02
"""A rate may be so many times the bound before it is refused."""
_UNDER = 1e-3
"""A rate below such a share of the bound is of another unit or another run: the lowest public one is a thirtieth."""


def read_figures(path: Path, platforms: Sequence[Platform]) -> dict[str, list[Figure]]:
    """Return what the figures of a table say of each machine, as `roofline.expected_tokens` takes them.

    Args:
        path: A CSV with `COLUMNS`: the machine by its key, the decoder by a shipped name or a path, and its tokens per
            second, of all requests; phase ``decode`` (the default), ``prefill`` or ``both``.
        platforms: The machines that are asked about; rows of others are left aside.

    Raises:
        TableError: A column is missing, a rate is no number above zero or beyond the bound, or a run is there twice.
        OptionError: No row is of one of the machines, or public runs say nothing of its class.
    """
    source = read_source(path)
    if source.form.recorded:
        raise TableError(
            f"{path} holds records, of which none corrects a decoder",
            repair=f"Give a table of figures of decoders, with the columns {', '.join(COLUMNS)}",
        )
    table = with_columns(
        spell_columns(source.table),
        str(path),
        "table of figures of decoders",
        COLUMNS,
        optional=OPTIONAL,
    )
    keys = {machine.key: machine for machine in platforms}
    found: dict[str, list[Figure]] = {}
    seen: dict[tuple[str, ...], int] = {}
    for place, row in enumerate(table.rows, 1):
        where = f"{path} row {place}"
        run = tuple(row.get(name, "") for name in (*COLUMNS[:3], *OPTIONAL))
        if run in seen:
            raise TableError(
                f"{where} is the same run as row {seen[run]}", repair="Keep one of the two"
            )
        seen[run] = place
        machine = keys.get(machine_called(row["machine"].strip(), where, platforms).key)
        if machine is None:
            continue
        found.setdefault(machine.key, []).append(_figure(row, where, machine))
    if not found:
        raise OptionError(
            f"{path} has no figure of {', '.join(keys)}",
            repair="Name the machine in the column machine by its key",
        )
    return found


def _count_of(row: Mapping[str, str], name: str, where: str, default: int) -> int:
    """Return a whole number of a row.

    Raises:
        TableError: It is none.
    """
    value = number_of(row, name, where, default)
    if value != int(value):
        raise TableError(
            f"{where}: {name} is {row.get(name)!r}, not a whole number",
            repair="Give a whole number",
        )
    return int(value)


def _figure(row: Mapping[str, str], where: str, machine: Platform) -> Figure:
    """Return what a row says of the machine."""
    rate = number_of(row, "tokens_per_s", where)
    named = row.get("phase") or "decode"
    if named not in set(Phase):
        hint = did_you_mean(named, list(Phase)) or "Use decode, prefill or both"
        raise TableError(f"{where}: unknown phase {named!r}", repair=hint)
    *whole, batch = (
        _count_of(row, name, where, default)
        for name, default in (
            ("context", CONTEXT),
            ("new_tokens", _NEW_TOKENS),
            ("devices", 1),
            ("batch", 1),
        )
    )
    request = Request(whole[0], whole[1], Phase(named), whole[2])
    network = decoder(row["network"])
    if network is None:
        raise TableError(
            f"{where}: {row['network']} is no decoder",
            repair="Leave the row out; a table of other networks has the column fps",
        )

    def prepare(workload: Workload, name: str | None) -> Workload:
        return compress_by_flags(workload, datatype=[name or row["datatype"]])

    try:
        (case,) = cases(
            network, request, [machine], datatypes=[row["datatype"]], batches=[batch], prepare=prepare,
        )  # fmt: skip
    except OptionError as error:
        raise TableError(
            f"{where}: {error.message}", repair="Mend the row or leave it out"
        ) from None
    if isinstance(case, Omission):
        raise OptionError(f"{where}: {case.reason}", repair="Leave the row out")
    bound = case.row()
    if bound.fits is False:
        raise TableError(
            f"{where}: {plural(batch, 'request')} of {request.context:,} positions do not fit {machine.key}",
            repair="Check the batch, the context and the devices",
        )
    figure = figure_of(bound, machine, case.parts(), rate)
    most = None if bound.tokens is None else bound.tokens.tokens_per_s
    if figure is None or not most:
        raise OptionError(
            f"public runs say nothing of {row['network']} on {machine.key}, so no figure corrects it",
            repair="Use --model equation1",
        )
    if rate < _UNDER * most:
        raise TableError(
            f"{where}: {rate:g} tokens/s is {rate / most:.1g} of what {machine.key} allows, which no public run is",
            repair="Give tokens per second, and check the datatype, the context and the batch",
        )
    if rate > _OVER * most:
        raise TableError(
            f"{where}: {rate:g} tokens/s is {rate / most:.3g} times what {machine.key} allows",
            repair="Give tokens per second, and check the datatype, the context and the batch",
        )
    return figure
