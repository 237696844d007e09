"""What microbenchmarks measured on a machine, as a platform file holds it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from roofline.spec._frozen import FrozenDict, Strict, Table
from roofline.spec.names import Datatype
from roofline.spec.quantity import Quantity

SampleText = Annotated[
    str,
    Field(
        max_length=200,
        pattern=r"^[0-9.e+]+(x[0-9.e+]+)* = [0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?( ±[0-9.]+%)?$",
    ),
]
"""A shape along the axes of its kind, the utilisation measured there, and how far two measurements lay apart."""


Factor = Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]
"""What a time is multiplied by."""


class Profile(Strict):
    """What microbenchmarks measured on the machine with one backend, version, number of threads and datatype.

    Who measured with what, named figures, and one line of text for each measured shape. The type that models compute
    with belongs to `roofline.model`, a layer above this one, which reads the figures and lines that it knows.
    """

    backend: str = Field(min_length=1)
    """The backend: `tvm`, `onnxruntime`."""
    version: str = Field(min_length=1)
    """The version of the backend."""
    threads: int = Field(ge=1, le=4096)
    """How many threads it ran on."""
    datatype: Datatype
    """The datatype it ran at."""
    tool: str
    """Program and version that measured."""
    date: str
    """When it measured."""
    conditions: str | None = None
    """Operating system, clocks, governor: whatever else would change the numbers."""
    figures: Table[Quantity] = Field(default_factory=FrozenDict)
    """Measured figures by name, in any unit of the table: rates, bandwidths, times, efficiencies."""
    processor: str | None = None
    """The processor it was measured on, as the operating system names it."""
    protocol: str | None = None
    """How times were taken."""
    lanes: int = Field(default=1, ge=1, le=1024)
    """Channels that packed kernels handle at once, found from the steps of measured times; 1 where there are none."""
    traits: Table[tuple[str, ...]] = Field(default_factory=FrozenDict)
    """What the backend does with operators beside others, by trait: ``absorbed``, ``after_product``, ``packed``,
    ``patterns``."""
    samples: Table[tuple[SampleText, ...]] = Field(default_factory=FrozenDict)
    """By kind of work, measured shapes and the share of the speed of light there: ``64x64x3136x9x1 = 0.75 ±3%``."""
    corrections: Table[Factor] = Field(default_factory=FrozenDict)
    """Factors of predicted times by class of work (`conv`, `matmul`), from networks measured on the machine."""
    spread: float | None = Field(default=None, ge=1, le=1000, allow_inf_nan=False)
    """Geometric spread of predictions made with this profile on networks it was not fitted to."""

    @property
    def key(self) -> str:
        """The name it has among the machine's profiles: ``onnxruntime/1.23.2/2/fp32``."""
        return f"{self.backend}/{self.version}/{self.threads}/{self.datatype}"
