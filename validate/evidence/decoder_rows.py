"""Tables of runs of decoders: what of them a law is told, and by what runs belong together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType

from roofline.model.sum_law import Floats, Runs
from roofline.validate.evidence import served, single_user
from roofline.validate.evidence.forms import Form, Source

Row = Mapping[str, str]

SETUP = ("machine", "system", "devices", "host", "backend", "runtime")
"""By which columns runs are of one machine with its software."""
INSTALLATION = (*SETUP, "source")
"""The same, as one user has it."""


def served_together(row: Row) -> str:
    """Return what served runs have their error in common by: the machine, its software, the model and its format."""
    return "|".join(row.get(name, "") for name in (*INSTALLATION, "model", "precision"))


def set_aside(rows: Sequence[Row], quantity: str) -> tuple[str, ...]:
    """Return why each run is judged apart; empty for those that are not."""
    return tuple(served.set_aside(row) if quantity == "tpot" else "" for row in rows)


@dataclass(frozen=True, slots=True)
class Table:
    """A table of runs of decoders."""

    rows: tuple[Row, ...]
    many: bool
    """Whether requests were served many at a time; else one user on one machine."""
    sha256: str

    @property
    def quantities(self) -> tuple[str, ...]:
        """What is predicted of it."""
        return ("tpot", "ttft") if self.many else ("decode", "prefill")


def decoder_table(source: Source) -> Table:
    """Return the table of a file of runs of decoders.

    Raises:
        TableError: It is no CSV.
    """
    return Table(source.table.rows, source.form is Form.SERVED, source.sha256)


def room(quantity: str) -> ModuleType:
    """Return the module of a quantity."""
    return served if quantity in served.PRIORS else single_user


def places_of(table: Table, quantity: str) -> tuple[int, ...]:
    """Return which rows have a basis."""
    if table.many:
        return tuple(i for i, row in enumerate(table.rows) if served.phase_of(row) is not None)
    return tuple(i for i, row in enumerate(table.rows) if single_user.phase_of(row) == quantity)


def runs_of(rows: Sequence[Row], quantity: str) -> Runs:
    """Return what the law of a quantity needs of rows."""
    return (served if quantity in served.PRIORS else single_user).runs_of(rows, quantity)


def measured_times(rows: Sequence[Row], quantity: str) -> Floats:
    """Return the logarithms of measured seconds; NaN where a row states none."""
    if quantity in served.PRIORS:
        return served.log_times(rows, quantity)
    return single_user.log_times(rows)


def group_of(row: Row, quantity: str) -> str:
    """Return the group that an interval is of."""
    return row.get("system", "") if quantity in served.PRIORS else single_user.kind_of(row)


def label_of(row: Row, quantity: str, leave: str) -> str:
    """Return the label that is left out as one."""
    if leave == "family":
        return row.get("model", "")
    return row.get("system", "") if quantity in served.PRIORS else single_user.label_of(row)
