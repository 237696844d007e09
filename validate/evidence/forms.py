"""Which form a file of runs has: decided once, from its first bytes, for all who read evidence."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from roofline.reading import CsvTable, csv_header, decode, read_bytes, read_csv
from roofline.validate.evidence import published, served, single_user
from roofline.validate.evidence.rates import of_rates

COMPARED = frozenset(
    {"network", "platform", "datatype", "batch", "backend", "measured_fps", "status"}
)
"""Columns by which a table of ``roofline validate --format csv`` is known."""


class Form(StrEnum):
    """What a file of runs is."""

    STORE = "record store"
    DOCUMENT = "JSON of records or comparisons"
    RECORDS = "CSV of records"
    COMPARISONS = "CSV of comparisons"
    PUBLISHED = "table of published runs"
    SERVED = "table of decoders that serve many requests"
    SINGLE_USER = "table of decoders of one user"
    RATES = "table of rates"
    OTHER = "any other text"

    @property
    def recorded(self) -> bool:
        """Whether it holds records, or comparisons with them, and is no table of rates."""
        return self in {Form.STORE, Form.DOCUMENT, Form.RECORDS, Form.COMPARISONS}

    @property
    def of_decoders(self) -> bool:
        """Whether it is a table of runs of decoders."""
        return self in {Form.SERVED, Form.SINGLE_USER}


_TABLES = {
    Form.SERVED: served.COLUMNS,
    Form.SINGLE_USER: single_user.COLUMNS,
    Form.PUBLISHED: frozenset(published.COLUMNS),
    Form.RECORDS: frozenset({"record"}),
    Form.COMPARISONS: COMPARED,
}
"""The columns by which tables are known; a table that has those of two is the first."""
_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Source:
    """A file of runs, read once."""

    path: Path
    content: bytes
    form: Form

    @property
    def sha256(self) -> str:
        """Digest of what it holds."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def text(self) -> str:
        """What it holds as text.

        Raises:
            TableError: It is not UTF-8.
        """
        return decode(self.content, self.path)

    @property
    def table(self) -> CsvTable:
        """What it holds as a table.

        Raises:
            TableError: It is no CSV.
        """
        return read_csv(self.text, str(self.path))


def read_source(path: Path) -> Source:
    """Return what a file of runs holds, with its form.

    Raises:
        TableError: It cannot be read.
    """
    content = read_bytes(path, "table of evidence")
    return Source(path, content, _form(content))


def _form(content: bytes) -> Form:
    if content.startswith(b"SQLite format 3"):
        return Form.STORE
    plain = content.removeprefix(_MARK)
    if plain.lstrip().startswith(b"{"):
        return Form.DOCUMENT
    header = frozenset(csv_header(plain.split(b"\n", 1)[0].decode(errors="replace")))
    other = Form.RATES if of_rates(header) else Form.OTHER
    return next((form for form, columns in _TABLES.items() if header >= columns), other)
