"""Why a machine was not looked at: it lacks the unit of every datatype that would do, or its file does not say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from roofline.errors import DatatypeError
from roofline.model import choose_unit
from roofline.precision import Precision, precision

if TYPE_CHECKING:
    from roofline.spec import Platform


def has_unit(platform: Platform, asked: Precision | str) -> bool:
    """Return whether a machine's file states a unit that a datatype runs on."""
    try:
        choose_unit(platform, asked)
    except DatatypeError:
        return False
    return True


def is_unstated(platform: Platform, asked: Sequence[Precision | str]) -> bool:
    """Return whether a machine's file says of any of the datatypes neither that it has nor that it lacks the unit."""
    return any(
        not has_unit(platform, name) and precision(name).peak not in platform.specification.absent
        for name in asked
    )
