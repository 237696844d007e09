"""Tables of runs of decoders: what of them a law is told, and by what runs belong together."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roofline.model.sum_law import Floats, Prior, Runs
from roofline.validate.evidence import served, single_user
from roofline.validate.evidence.forms import Form, Source

Row = Mapping[str, str]

SETUP = ("machine", "system", "devices", "host", "backend", "runtime")
"""By which columns runs are of one machine with its software."""
INSTALLATION = (*SETUP, "source")
"""The same, as one user has it."""


@dataclass(frozen=True, slots=True)
class QuantityRows:
    """Rows of a table that a law of one quantity is told of."""

    quantity: str
    """``decode``, ``prefill``, ``tpot``, ``several`` or ``ttft``."""
    places: tuple[int, ...]
    """Where they stand in the table."""
    rows: tuple[Row, ...]

    def select(self, keep: NDArray[np.bool_]) -> QuantityRows:
        """Return some of them."""
        kept = [place for place, there in enumerate(keep) if there]
        return QuantityRows(
            self.quantity,
            tuple(self.places[place] for place in kept),
            tuple(self.rows[place] for place in kept),
        )

    @property
    def served(self) -> bool:
        """Whether requests were served many at a time."""
        return self.quantity in served.TERMS

    @property
    def by_class(self) -> bool:
        """Whether classes of machines have factors and intervals of their own; else all systems are one class."""
        return self.quantity not in {"tpot", "ttft"}

    @property
    def priors(self) -> Mapping[str, Prior]:
        """What the law of the quantity starts from."""
        if self.served:
            return served.priors_of(self.quantity)
        return single_user.PRIORS[self.quantity]

    @property
    def runs(self) -> Runs:
        """What the law needs of them."""
        return (served if self.served else single_user).runs_of(self.rows, self.quantity)

    @property
    def measured(self) -> Floats:
        """Logarithms of the measured seconds; NaN where a row states none."""
        if self.served:
            return served.log_times(self.rows, self.quantity)
        return single_user.log_times(self.rows)

    @property
    def set_aside(self) -> tuple[str, ...]:
        """Why each is judged apart; empty for those that are not."""
        return tuple(served.set_aside(row) if self.quantity == "tpot" else "" for row in self.rows)

    @property
    def queued(self) -> tuple[bool, ...]:
        """Whether a queue decides the quantity of each."""
        return tuple(self.quantity == "ttft" and served.is_queue_bound(row) for row in self.rows)

    @property
    def groups(self) -> list[str]:
        """The group that the interval of each is of."""
        if not self.by_class:
            return [row.get("system", "") for row in self.rows]
        return [(served if self.served else single_user).kind_of(row) for row in self.rows]

    @property
    def machines(self) -> list[str]:
        """The machine or system of each."""
        if self.served:
            return [row.get("system", "") for row in self.rows]
        return [single_user.label_of(row) for row in self.rows]

    def labels(self, leave: str) -> list[str]:
        """Return the label of each that is left out as one: its model for ``family``, else its machine."""
        if leave == "family":
            return [row.get("model", "") for row in self.rows]
        return self.machines

    @property
    def together(self) -> list[str]:
        """What served runs have their error in common by: the machine, its software, the model and its format."""
        return self.join_columns(*INSTALLATION, "model", "precision")

    def join_columns(self, *columns: str) -> list[str]:
        """Return what each says in some columns, as one text."""
        return ["|".join(row.get(name, "") for name in columns) for row in self.rows]


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
        return ("tpot", "ttft", "several") if self.many else ("decode", "prefill")

    @property
    def gaps(self) -> Mapping[str, int]:
        """Why rows have no basis, and how many of each."""
        form = served if self.many else single_user
        return Counter(form.gap_of(row) for row in self.rows if form.phase_of(row) is None)

    def of(self, quantity: str) -> QuantityRows:
        """Return the rows that there is a basis for predicting a quantity of."""
        phases = [(served if self.many else single_user).phase_of(row) for row in self.rows]
        # Of served systems the time to the first token has the rows of the time per token.
        wanted = "tpot" if quantity == "ttft" else quantity
        places = [place for place, phase in enumerate(phases) if phase == wanted]
        return QuantityRows(quantity, tuple(places), tuple(self.rows[place] for place in places))


def join_tables(*tables: Table) -> Table:
    """Return the rows of tables of one kind as one, with a digest of them all."""
    rows = tuple(row for table in tables for row in table.rows)
    digest = hashlib.sha256("".join(table.sha256 for table in tables).encode())
    return Table(rows, tables[0].many, digest.hexdigest())


def decoder_table(source: Source) -> Table:
    """Return the table of a file of runs of decoders.

    Raises:
        TableError: It is no CSV.
    """
    return Table(source.table.rows, source.form is Form.SERVED, source.sha256)
