"""A compression with which a machine passes that fails without."""

from __future__ import annotations

from dataclasses import dataclass

from roofline.number_format import number


@dataclass(frozen=True, slots=True)
class Remedy:
    """A compression with which a machine passes."""

    datatype: str
    keep_channels: float
    low: float | None
    """Low end of its rate, as `Candidate.low`."""
    accuracy: tuple[str, ...]
    """What is known of each network's accuracy then."""

    def record(self) -> dict[str, object]:
        """Return the remedy as a row."""
        return {
            "datatype": self.datatype,
            "keep_channels": self.keep_channels,
            "low_fps": self.low,
            "accuracy": list(self.accuracy),
        }

    def __str__(self) -> str:
        kept = f" with {self.keep_channels:g} of the channels" if self.keep_channels < 1 else ""
        reached = f" at {number(self.low, 3)}" if self.low is not None else ""
        return f"passes in {self.datatype}{kept}{reached}, {'; '.join(self.accuracy)}"
