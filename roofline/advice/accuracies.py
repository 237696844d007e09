"""What is known of a network's accuracy by datatype and share of channels: the user's figures, else published ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from roofline.errors import TableError
from roofline.precision import precision
from roofline.reading import read_csv, read_text, real_number
from roofline.workloads.published import table

if TYPE_CHECKING:
    from roofline.advice.remedies import Accuracy

_COLUMNS = ("network", "datatype", "accuracy_percent")

Key = tuple[str, str, float]
"""Network, datatype and share of channels."""


def known_accuracies(path: Path | None = None) -> Accuracy:
    """Return a look-up of accuracies.

    Args:
        path: The user's CSV file with the columns ``network``, ``datatype``, ``accuracy_percent`` and, where channels
            were taken away, ``keep_channels``; its figures go before the published ones.

    Raises:
        TableError: A column is missing, or a cell cannot be read.
    """
    own: Mapping[Key, float] = {} if path is None else _read(path)
    published = _published_accuracies()

    def accuracy(network: str, datatype: str, share: float) -> str | None:
        key = (network, datatype, share)
        if key in own:
            return f"accuracy {own[key]:g} % ({path})"
        if key in published:
            return f"accuracy {published[key]:g} % (top 1, published)"
        return None

    return accuracy


def _published_accuracies() -> Mapping[Key, float]:
    """Return the accuracies of Blott et al. 2021, Table 3."""
    return {
        (str(row["network"]), str(row["datatype"]), float(row["keep_channels"] or 1.0)): row["top1_percent"]
        for row in table("qutibench_accuracy")
        if row["top1_percent"] is not None
    }  # fmt: skip


def _read(path: Path) -> Mapping[Key, float]:
    found: dict[Key, float] = {}
    rows = read_csv(read_text(path, "table of accuracies"), str(path)).rows
    for place, row in enumerate(rows, 1):
        where = f"{path}, row {place}"
        missing = next((name for name in _COLUMNS if not row.get(name)), None)
        if missing is not None:
            raise TableError(
                f"{where}: no {missing}",
                repair=f"Columns: {', '.join(_COLUMNS)}, and keep_channels where channels were taken away",
            )
        kept, name = row.get("keep_channels") or "1", f"{where}: keep_channels"
        share = real_number(kept, name, least=0, most=1, error=TableError)
        name = f"{where}: accuracy_percent"
        percent = real_number(row["accuracy_percent"], name, least=0, most=100, error=TableError)
        found[row["network"], precision(row["datatype"]).name, share] = percent
    return found
