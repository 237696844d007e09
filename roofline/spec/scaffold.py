"""The commented file that a user fills in to describe a machine of their own."""

from __future__ import annotations

from roofline.errors import PlatformError
from roofline.precision import COMPUTE_DATATYPES
from roofline.spec.names import KEY_PATTERN, KEY_REPAIR, MACHINE_KINDS, SEGMENTS
from roofline.spec.reading import UNFILLED
from roofline.spec.schema import SCHEMA_VERSION


def scaffold(key: str) -> str:
    """Return a commented platform file, whose required values say INFORMATION_REQUIRED.

    Raises:
        PlatformError: The key cannot be typed on a command line.
    """
    if KEY_PATTERN.fullmatch(key) is None:
        raise PlatformError(f"{key!r} is not a key", repair=KEY_REPAIR)
    return _TEMPLATE.format(
        key=key, unfilled=UNFILLED, version=SCHEMA_VERSION, kinds=", ".join(MACHINE_KINDS),
        segments=", ".join(SEGMENTS), datatypes=", ".join(COMPUTE_DATATYPES),
    )  # fmt: skip


_TEMPLATE = """\
# A machine for roofline. Fill in what says {unfilled}, remove what does not apply, then:
#
#     roofline platforms check {key}.yaml
#     roofline predict resnet50 -p {key}.yaml
#
# Every number is a quantity: {{value, unit, kind, source, note}}.
#   unit    as in the datasheet: TOP/s, GOP/s, GB/s, GiB, W, USD (one multiply-accumulate is two operations)
#   kind    datasheet (printed by the maker), published (printed by someone else), derived (computed; the note shows
#           how), measured, or estimated (a guess that says so)
#   source  a key of the sources at the end of the file
# A number that is not known is left out.

schema_version: {version}
key: "{key}"
name: {unfilled}
vendor: {unfilled}
# One of: {kinds}.
kind: {unfilled}
# One of: {segments}.
# segment: edge
# The year it could first be bought.
year: {unfilled}
# description: One sentence on which configuration this is.

# Peak operations per second on dense operands, for each datatype the machine has arithmetic for:
# {datatypes}.
# Datasheets often print the sparse figure only; the dense one is then half of it.
peaks:
  fp32: {{value: {unfilled}, unit: TOP/s, kind: datasheet, source: datasheet}}
  # fp16:
  #   value: 20
  #   unit: TOP/s
  #   kind: derived
  #   source: datasheet
  #   note: Half of the 40 TOP/s printed with sparsity
  #   sparse: {{value: 40, unit: TOP/s, kind: datasheet, source: datasheet, pattern: "2:4"}}

# Datatypes the machine is known to have no arithmetic for.
absent: []

# Levels of memory, outermost first. The first needs a bandwidth; on-chip levels often have only a capacity.
memories:
  - name: DRAM
    bandwidth: {{value: {unfilled}, unit: GB/s, kind: datasheet, source: datasheet}}
    # capacity: {{value: 8, unit: GB, kind: datasheet, source: datasheet}}
  # - name: L2
  #   on_chip: true
  #   # holds_weights: true   # for a scratchpad in which weights stay between inferences, never for a cache
  #   # excess_from: host_link   # where the weights that do not fit cross the link to the host each time
  #   capacity: {{value: 2, unit: MiB, kind: datasheet, source: datasheet}}

# compute_units:
#   cores: {{value: 4, unit: "1", kind: datasheet, source: datasheet}}
# clocks:
#   base: {{value: 1.8, unit: GHz, kind: datasheet, source: datasheet}}
# A peak may then say how it follows, and is checked against that (arithmetic beside its value and unit:
# {{units: cores, operations_per_cycle: 16, clock: base}}).

# host_link:
#   name: PCIe 4.0 x16
#   bandwidth: {{value: 31.51, unit: GB/s, kind: derived, source: datasheet, note: 16 GT/s x 16 x 128/130 / 8}}

# power:
#   of: board   # chip, module, card, board or system
#   tdp: {{value: 15, unit: W, kind: datasheet, source: datasheet}}
#   idle: {{value: 3, unit: W, kind: measured, source: datasheet}}

# price: {{value: 499, unit: USD, kind: datasheet, source: datasheet, of: board, date: "2025-01"}}

# Which zero weights cost no time: none, "2:4" or unstructured.
skips_zeros: none

# Operating modes, asked for after a colon ({key}:fast); each says what differs from the rest of the file.
# default_mode: fast
# modes:
#   fast:
#     description: GPU at 1.3 GHz
#     peaks:
#       fp32: {{value: 1.3, unit: TOP/s, kind: datasheet, source: datasheet}}
#     power:
#       tdp: {{value: 25, unit: W, kind: datasheet, source: datasheet}}

# notes:
#   - What a reader must know, conflicts between sources above all.

sources:
  datasheet:
    title: {unfilled}
    url: {unfilled}
    # date: "2025-01"
    # quote: The words or table cells that carry the numbers.
"""
