"""What the products of a run really were computed in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from roofline.precision import Bits, width_of


class StoredAs(StrEnum):
    """How a file keeps values that are widened before they are multiplied."""

    DEQUANTIZED = "dequantized"
    """8-bit values, scaled to floating point."""
    PACKED = "packed"
    """Several weights of a few bits to the byte."""
    IN_BLOCKS = "in_blocks"
    """Weights of 8 or fewer bits that the kernel reads as they are stored, and widens a block at a time."""
    BF16 = "bf16"


_STORED = {
    StoredAs.DEQUANTIZED: "dequantized values",
    StoredAs.PACKED: "{bits} weights unpacked before the run",
    StoredAs.IN_BLOCKS: "narrow weights widened block by block within the product",
    StoredAs.BF16: "bf16 weights widened before the run",
}


@dataclass(frozen=True, slots=True)
class Executed:
    """The datatype of a run's multiplications."""

    datatype: str = ""
    """Of the operands, by its name; the narrowest where several are multiplied. Empty where it is not known."""
    accumulator: str = ""
    """Of the sums, where it is another one."""
    emulated: bool = False
    """Whether the processor has no arithmetic of this datatype, and converts to a wider one for every operation."""
    others: tuple[str, ...] = ()
    """Datatypes of the further products, widest first."""
    stored: StoredAs | None = None
    """How the file keeps what was widened before it was multiplied."""
    stored_bits: int = 0
    """Of each of the weights that it packs; 0 where they differ, or it is not recorded."""

    @property
    def label(self) -> str:
        """The datatype in a few words: ``int8, int32 sums``."""
        parts = [self.datatype]
        parts += [f"{self.accumulator} sums"] if self.accumulator else []
        parts += ["emulated: converted to fp32 and back for every operation"] * self.emulated
        if self.stored is not None:
            bits = f"{self.stored_bits}-bit" if self.stored_bits else "packed"
            parts.append(f"of {_STORED[self.stored].format(bits=bits)}")
        text = ", ".join(part for part in parts if part)
        return f"{text}; in part {' and '.join(self.others)}" if self.others else text


def describe_execution(
    datatypes: Iterable[str],
    *,
    emulated: Iterable[str] = (),
    stored: StoredAs | None = None,
    stored_bits: int = 0,
) -> Executed:
    """Return what is executed where products of some datatypes are computed.

    Args:
        datatypes: Of the operands of each product, by their names; integers of 8 bits are summed in 32.
        emulated: Those that the processor converts for every operation.
        stored: How the file keeps what was widened to the floating-point ones.
        stored_bits: Of each of the weights that it packs.
    """
    found = sorted(set(datatypes), key=_width)
    if not found:
        return Executed()
    first, others = found[0], tuple(reversed(found[1:]))
    return Executed(
        first,
        "int32" if first == "int8" else "",
        first in set(emulated),
        others,
        stored,
        stored_bits,
    )


def _width(name: str) -> tuple[Bits, str]:
    return width_of(name, 1 << 16), name
