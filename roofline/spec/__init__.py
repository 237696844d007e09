"""Machines: what their files say, with units and sources, and the accessors the prediction models use.

``platform("tx2:maxn")`` finds a machine by key or file; the schema of the files is in `roofline.spec.schema`.
"""

from roofline.spec.aliases import Alias, find_alias
from roofline.spec.finding import platform, platform_keys
from roofline.spec.folders import platform_files
from roofline.spec.loading import from_mapping, load
from roofline.spec.machine import Platform, in_mode
from roofline.spec.parts import Memory, Peak, Source
from roofline.spec.profiles import Profile
from roofline.spec.quantity import Quantity
from roofline.spec.schema import Specification
from roofline.spec.writing import as_yaml

__all__ = [
    "Alias",
    "Memory",
    "Peak",
    "Platform",
    "Profile",
    "Quantity",
    "Source",
    "Specification",
    "as_yaml",
    "find_alias",
    "from_mapping",
    "in_mode",
    "load",
    "platform",
    "platform_files",
    "platform_keys",
]
