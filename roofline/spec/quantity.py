"""Numbers with a unit, a kind and a source: the only numbers a platform file can hold."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import CoreSchema

from roofline.errors import UnitError
from roofline.spec._frozen import Strict, broken_rule
from roofline.units import UNITS, Dimension, to_base

Kind = Literal["datasheet", "published", "derived", "measured", "estimated"]
"""How a number is known: printed by the machine's maker; printed by someone else, as a database, a paper or a review;
computed from numbers the source prints (the arithmetic is in the note); measured on the machine; or a guess, which says
that it is one."""


def _number(value: Any) -> Any:
    """Refuse what is not a number, and say why when YAML read a number as text."""
    if isinstance(value, bool):
        raise broken_rule("must be a number, not yes or no", "Write a number")
    if isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            raise broken_rule(
                f"must be a number, not the text {value[:60]!r}", "Write a number such as 19.2"
            ) from None
        raise broken_rule(
            f"{value[:60]!r} is text to YAML, not a number",
            f"Write {number:g} without quotes"
            if abs(number) < 1e6
            else "Write the exponent with a sign and without quotes (1.0e+12), or use a larger unit",
        )
    if isinstance(value, int):
        try:
            return float(value)
        except OverflowError:
            return math.inf
    return value


def _positive(value: float) -> float:
    if not math.isfinite(value) or value <= 0:
        raise broken_rule(
            f"must be a finite number above zero, not {value:g}",
            "Leave the whole entry out if the number is not known",
        )
    return value


Positive = Annotated[
    float,
    BeforeValidator(_number),
    AfterValidator(_positive),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0}),
]
"""A finite number above zero; text that looks like a number is refused with the way to write it."""


class Quantity(Strict):
    """A number with its unit, how it is known, and where it comes from."""

    dimension: ClassVar[Dimension | None] = None
    """What its units measure, which a class states behind its base; None for any."""

    def __init_subclass__(cls, dimension: Dimension | None = None, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.dimension = dimension or cls.dimension

    value: Positive
    """The number, in `unit`."""
    unit: str
    """The unit, spelled as in the table of units."""
    kind: Kind
    """How the number is known: `datasheet`, `published`, `derived`, `measured` or `estimated`."""
    source: str
    """Key of an entry of `sources`."""
    note: str | None = None
    """The arithmetic of a derived number, or what a reader must know to use it."""

    @model_validator(mode="after")
    def _unit_fits(self) -> Quantity:
        try:
            base = self.base
        except UnitError as error:
            raise broken_rule(error.message, error.repair, at=("unit",)) from None
        if not math.isfinite(base) or base <= 0:
            beyond = f"{self.value:g} {self.unit} is beyond every machine"
            raise broken_rule(beyond, "Check the value and its unit", at=("value",))
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, object]:
        """List the allowed units, so that an editor can offer them."""
        schema = handler.resolve_ref_schema(handler(core_schema))
        schema["properties"]["unit"]["enum"] = [
            name for name, unit in UNITS.items() if cls.dimension in (None, unit.dimension)
        ]
        return schema

    @cached_property
    def base(self) -> float:
        """The number in the base unit of its dimension (OP/s, B/s, B, s, W, USD, 1)."""
        return to_base(self.value, self.unit, self.dimension)


class ComputeRate(Quantity, dimension=Dimension.COMPUTE_RATE):
    """Operations per second; one multiply-accumulate is two operations."""


class Bandwidth(Quantity, dimension=Dimension.BANDWIDTH):
    """Bytes per second."""


class Capacity(Quantity, dimension=Dimension.CAPACITY):
    """Bytes."""


class Power(Quantity, dimension=Dimension.POWER):
    """Watts."""


class Time(Quantity, dimension=Dimension.TIME):
    """Seconds."""


class Frequency(Quantity, dimension=Dimension.FREQUENCY):
    """Cycles per second."""


class TransferRate(Quantity, dimension=Dimension.TRANSFER_RATE):
    """Transfers per second on one wire; twice the clock of a memory that transfers on both edges."""


class Width(Quantity, dimension=Dimension.WIDTH):
    """Bits side by side."""


class Ratio(Quantity, dimension=Dimension.RATIO):
    """A number without a dimension; its unit is written `1`."""


class Count(Ratio):
    """How many there are; its unit is written `1`."""

    @model_validator(mode="after")
    def _whole(self) -> Count:
        if self.value != int(self.value):
            raise broken_rule(
                "must be a whole number", "Count the parts that exist", at=("value",)
            )
        return self


Product = Literal["chip", "module", "card", "board", "system"]
"""What has a price or draws a power: the bare chip; a module to be put on a carrier; a card or stick for a host; a
board that runs by itself; or a whole computer."""


class Money(Quantity, dimension=Dimension.PRICE):
    """US dollars, what they buy, and the month they were asked."""

    of: Product
    """What is bought at that price."""
    date: Annotated[str, Field(pattern=r"^\d{4}(-\d{2}(-\d{2})?)?$")]
    """When that was the price: year, year-month or year-month-day."""
