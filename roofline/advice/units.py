"""Why a machine was not looked at: it lacks the unit of every datatype that would do, or its file does not say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from roofline.errors import DatatypeError
from roofline.model import choose_unit
from roofline.precision import Precision, precision
from roofline.surfaces import DATATYPE

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


def refuse(platform: Platform, asked: Precision | str) -> None:
    """Refuse a datatype that a machine has no unit for.

    Raises:
        DatatypeError: The machine has none, or its file does not say; the message tells the two apart.
    """
    if has_unit(platform, asked):
        return
    if is_unstated(platform, [asked]):
        raise DatatypeError(
            f"the file of {platform.key} does not say whether it has {precision(asked).peak} units; it has "
            f"{', '.join(platform.datatypes)}",
            repair=f"Choose one of them with {DATATYPE}",
        )
    choose_unit(platform, asked)
