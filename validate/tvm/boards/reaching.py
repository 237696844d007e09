"""Reaching a board: its tracker answers, and somebody serves its key."""

from __future__ import annotations

from roofline.errors import OptionError
from roofline.validate.tvm.boards.target import parse_target
from roofline.validate.tvm.boards.tracker import Tracker, parse_tracker


def reach(address: str, key: str, *, board: str = "a board", target: str = "") -> Tracker:
    """Return the tracker of a board that is there, checked before anything is compiled for it.

    Args:
        address: The tracker's address.
        key: The key of the board's server.
        board: What the board is called in messages.
        target: The board's processor, as `parse_target` reads it; empty when the board is to be asked.

    Raises:
        OptionError: The tracker's address is missing or malformed, or the processor is.
        BoardError: The tracker does not answer, or nobody serves the key.
    """
    if not address:
        raise OptionError(f"{board} needs its tracker", repair="Add --rpc-tracker HOST:PORT")
    if target:
        parse_target(target, 1)
    tracker = parse_tracker(address)
    tracker.check(key)
    return tracker
