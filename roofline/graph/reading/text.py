"""Text of a model that is no text: protobuf hands a name that is not UTF-8 over as bytes."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from roofline.errors import ModelError

if TYPE_CHECKING:
    from onnx import ModelProto


@contextmanager
def names_must_be_text(model: ModelProto) -> Generator[None]:
    """Turn what bytes in the place of a name lead to into one clear error.

    Names are not looked at before something fails: there are many of them, and they are always text.

    Raises:
        ModelError: Work on the model failed, and a name in it is not UTF-8.
    """
    try:
        yield
    except (TypeError, AttributeError, ValueError) as error:
        found = next(_undecodable_field(model), None)
        if found is None:
            raise
        raise ModelError(
            f"the model holds a text that is not UTF-8: {found!r}",
            repair="Fetch or export the file again",
        ) from error


def _undecodable_field(message: Any) -> Iterator[bytes]:
    waiting: list[Any] = [message]
    while waiting:
        for field, value in waiting.pop().ListFields():
            if field.type == field.TYPE_MESSAGE:
                waiting.extend([value] if hasattr(value, "ListFields") else value)
            elif field.type == field.TYPE_STRING:
                for text in [value] if isinstance(value, (str, bytes)) else value:
                    if isinstance(text, bytes):
                        yield text[:40]
