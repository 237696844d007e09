"""Kernels on blocks of channels and the numbers their schedules leave open.

The best guess stands first among `tiles`; the search tries the others.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from roofline.validate.tvm.blocked import kernels as blocks


@dataclass(frozen=True, slots=True)
class Tile:
    """The open numbers of one kernel."""

    outer: int = 1
    """Blocks of filters (or of a matrix's columns) summed at once."""
    rows: int = 1
    columns: int = 1
    depth: int = 1
    """Steps of the innermost reduction that are unrolled."""
    rows_first: bool = False
    """Whether all filters of a row come before the next row (else the other way around)."""
    frame_inside: bool = False
    """Whether the frame of zeros is put around a tile when it is needed, not around the image beforehand."""

    def to_list(self) -> list[int]:
        """Return the numbers as JSON values."""
        return [
            self.outer, self.rows, self.columns, self.depth, int(self.rows_first), int(self.frame_inside),
        ]  # fmt: skip

    @classmethod
    def from_list(cls, numbers: Iterable[int]) -> Tile:
        """Return the tile of `to_list`."""
        outer, rows, columns, depth, rows_first, frame_inside = numbers
        return cls(outer, rows, columns, depth, bool(rows_first), bool(frame_inside))


@dataclass(frozen=True, slots=True)
class Kernel:
    """What a kernel on blocks computes: its main block and the extents of its loops."""

    kind: str
    spatial: tuple[int, ...]
    reduced: tuple[int, ...]
    form: str
    operands: int
    framed: bool

    @property
    def key(self) -> str:
        """A text that is the same for kernels to which the same tile is best."""
        spatial, reduced = ("x".join(map(str, part)) for part in (self.spatial, self.reduced))
        return f"{self.kind} {spatial} {reduced} {self.form} {self.operands}"

    @property
    def lanes(self) -> int:
        """Elements of one vector."""
        return int(self.form[1:].split()[0]) if self.kind == blocks.GEMM else self.spatial[-1]

    @property
    def products(self) -> int:
        """Multiply-accumulates."""
        return math.prod(self.spatial) * math.prod(self.reduced)

    @property
    def product(self) -> bool:
        """Whether it is a matrix product."""
        return self.kind in {blocks.GEMM, blocks.INTEGER_GEMM}


def tiles(kernel: Kernel, *, every: bool = False) -> list[Tile]:
    """Return tiles worth trying, the best guess first.

    Args:
        kernel: What is computed.
        every: All that fit the registers, instead of the most promising few.
    """
    registers = 28 if kernel.lanes > 8 else 12
    if kernel.product:
        columns = kernel.spatial[1]
        rows = divisors(kernel.spatial[0], registers)
        outers = divisors(
            columns // kernel.lanes if kernel.kind == blocks.GEMM else columns, registers
        )
        found = [
            Tile(outer, rows=row, depth=4) for row in rows for outer in outers if row * outer <= registers
        ]  # fmt: skip
        found.sort(key=lambda tile: -_reuse(tile.outer, tile.rows))
        return found if every else found[:8]
    _, outer_size, height, width, _ = kernel.spatial
    columns = divisors(width, registers)
    if kernel.kind == blocks.DEPTHWISE:
        found = [
            Tile(rows=row, columns=column, frame_inside=kernel.framed)
            for column in columns
            for row in divisors(height, min(4, registers // column))
        ]
        found.sort(key=lambda tile: -tile.rows * tile.columns)
        return found if every else found[:6]
    found = [
        Tile(outer, row, column, depth=4)
        for column in columns
        for row in divisors(height, min(7, registers // column))
        for outer in divisors(outer_size, min(4, registers // (column * row)))
    ]
    found.sort(
        key=lambda tile: -_reuse(tile.outer, tile.rows * tile.columns) - tile.columns / 1000
    )
    return found if every else found[:8]


def neighbours(kernel: Kernel, tile: Tile) -> list[Tile]:
    """Return variants of a tile that is good already: another order, unrolling, place of the frame."""
    outer, rows, columns = tile.outer, tile.rows, tile.columns
    if kernel.kind == blocks.INTEGER_GEMM:
        return [Tile(outer, rows, columns, 1, rows_first=True)]
    if kernel.product:
        return [Tile(outer, rows, columns, depth) for depth in (1, 8)] + [
            Tile(outer, rows, columns, tile.depth, rows_first=True)
        ]
    if kernel.kind == blocks.DEPTHWISE:
        whole = kernel.reduced[-1]
        kinds = [(1, False), (whole, True), (whole, False)] if kernel.framed else [(whole, False)]
        return [Tile(outer, rows, columns, depth, frame_inside=inside) for depth, inside in kinds]
    steps = kernel.reduced[-2 if kernel.kind == blocks.INTEGER_CONVOLUTION else -1]
    deep = [depth for depth in (1, 16) if steps % depth == 0]
    found = [Tile(outer, rows, columns, depth) for depth in deep]
    found.append(Tile(outer, rows, columns, tile.depth, rows_first=True))
    if kernel.framed:
        found.append(Tile(outer, rows, columns, tile.depth, rows_first=True, frame_inside=True))
    return found


def divisors(size: int, most: int) -> list[int]:
    """Return the divisors of a size up to a limit."""
    return [number for number in range(1, min(size, most) + 1) if size % number == 0]


def _reuse(outer: int, positions: int) -> float:
    """Return multiply-adds per load of a tile; a broadcast that is used once needs no register."""
    loads = outer + (positions if outer > 1 else 0.3 * positions)
    return min(outer * positions, 16) / 16 * outer * positions / loads
