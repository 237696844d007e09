"""A model file's bytes without its weights, by the protobuf wire format alone.

The file is walked with seeks: a payload that is dropped is never read. What stays (the structure, the dimensions and
types of tensors, small constants) is copied in long runs, and only the lengths of the messages around a dropped payload
are written anew.

Spec: https://protobuf.dev/programming-guides/encoding/ and the field numbers of
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from roofline.errors import ModelError

SMALL = 1024
"""Payloads up to this many bytes stay: constants that decide shapes are smaller, weights are larger."""

_LARGE_STRING = 1 << 16
"""A string attribute may name a whole equation; beyond this it is an embedded binary."""

_LONGEST_HEADER = 20
"""Bytes of a field's tag and length, two numbers of at most ten."""

_MAX_KEPT = (1 << 31) - 1
"""Protobuf's own limit on a message."""

_MAX_DEPTH = 100
"""Messages inside messages, protobuf's own limit."""

_DROP = "drop"
_LONG = "long"
_REST = "rest"

# What to do with the length-delimited fields of each message: descend into another message, drop the payload, drop it
# only when it is no sensible string, or stop looking (lists of numbers, one field for each). Other fields stay.
_FIELDS: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 25: "function", 6: _DROP, 14: _DROP, 20: _DROP},
    "graph": {1: "node", 5: "tensor", 15: "sparse", 10: _DROP, 16: _DROP},
    "function": {7: "node", 11: "attribute", 8: _DROP, 14: _DROP},
    "node": {5: "attribute", 6: _DROP, 9: _DROP},
    "attribute": {
        4: _LONG, 5: "tensor", 6: "graph", 7: _REST, 8: _REST, 9: _REST, 10: "tensor", 11: "graph", 13: _DROP,
        22: "sparse", 23: "sparse",
    },
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {4: _DROP, 5: _DROP, 6: _DROP, 7: _DROP, 9: _DROP, 10: _DROP, 11: _DROP, 12: _DROP, 16: _DROP},
}  # fmt: skip

Run = tuple[int, int]
Piece = Run | bytes


def skim(path: Path) -> bytes:
    """Return the serialized model of a file without its large payloads.

    Args:
        path: A file of any size; only what stays is read into memory.

    Raises:
        ModelError: The bytes are no protobuf message of a model, or end too early.
    """
    with path.open("rb", buffering=0) as file:
        size = file.seek(0, 2)
        if not size:
            raise ModelError(f"{path} is empty", repair="Give an ONNX file")
        skimmer = _Skimmer(_Window(file, size), path)
        pieces, kept = skimmer.message("model", 0, size, 0)
        if kept > _MAX_KEPT:
            raise ModelError(
                f"{path} holds more than 2 GiB besides its weights, which no ONNX reader can load"
            )
        return _assemble(file, pieces)


def _assemble(file: BinaryIO, pieces: list[Piece]) -> bytes:
    parts: list[bytes] = []
    for piece in pieces:
        if isinstance(piece, bytes):
            parts.append(piece)
        else:
            file.seek(piece[0])
            parts.append(_exactly(file, piece[1] - piece[0]))
    return b"".join(parts)


def _exactly(file: BinaryIO, count: int) -> bytes:
    parts: list[bytes] = []
    while count > 0:
        part = file.read(count)
        if not part:
            raise ModelError("the model file became shorter while it was read")
        parts.append(part)
        count -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


class _Window:
    """A view of a few bytes of a file, which moves; it grows while reading goes straight on."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.size = size
        self.start = 0
        self.bytes = b""
        self._file = file
        self._length = 4096

    def move(self, position: int) -> None:
        """Place the window so that it begins at a position."""
        near = 0 <= position - self.start <= len(self.bytes) + self._length
        self._length = min(self._length * 2, 1 << 18) if near else 4096
        self._file.seek(position)
        self.start = position
        self.bytes = self._file.read(self._length)


class _Skimmer:
    """Walks messages, and gathers what stays."""

    def __init__(self, window: _Window, path: Path) -> None:
        self._window = window
        self._path = path

    def message(self, kind: str, begin: int, end: int, depth: int) -> tuple[list[Piece], int]:
        """Return what stays of one message, and its length."""
        if depth > _MAX_DEPTH:
            raise ModelError(f"{self._path} nests graphs more than {_MAX_DEPTH} messages deep")
        fields = _FIELDS[kind]
        pieces: list[Piece] = []
        kept = 0
        run = begin  # start of the bytes since the last change, which stay as they are
        position = begin
        window = self._window
        while position < end:
            tag, length, payload = self._header(position, end)
            after = payload + length
            if after > end:
                raise (
                    self._truncated_error()
                    if end == window.size
                    else self._malformed_error(position)
                )
            if length > SMALL and tag & 7 == 2:
                action = fields.get(tag >> 3)
                if action == _REST:
                    break
                if action == _DROP or (action == _LONG and length > _LARGE_STRING):
                    if position > run:
                        pieces.append((run, position))
                        kept += position - run
                    run = after
                elif action is not None and action != _LONG:
                    inner, inner_kept = self.message(action, payload, after, depth + 1)
                    if inner_kept != length:
                        if position > run:
                            pieces.append((run, position))
                        header = _encode(tag) + _encode(inner_kept)
                        pieces.append(header)
                        pieces += inner
                        kept += position - run + len(header) + inner_kept
                        run = after
            position = after
        if end > run:
            pieces.append((run, end))
            kept += end - run
        return pieces, kept

    def _header(self, position: int, end: int) -> tuple[int, int, int]:
        """Return the tag of a field, the length of its payload (0 for a varint), and where the payload begins."""
        window = self._window
        offset = position - window.start
        if offset < 0 or len(window.bytes) - offset < _LONGEST_HEADER:
            window.move(position)
            offset = 0
        length = 0
        try:
            tag, offset = _varint(window.bytes, offset)
            wire = tag & 7
            if wire == 2:
                length, offset = _varint(window.bytes, offset)
            elif wire == 0:
                _, offset = _varint(window.bytes, offset)
            elif wire in (1, 5):
                length = 8 if wire == 1 else 4
            else:
                raise self._malformed_error(position)
        except IndexError:
            raise (
                self._truncated_error()
                if position + _LONGEST_HEADER > end
                else self._malformed_error(position)
            ) from None
        if not 0 < tag >> 3 < 1 << 29:
            raise self._malformed_error(position)
        return tag, length, window.start + offset

    def _truncated_error(self) -> ModelError:
        return ModelError(
            f"{self._path} is no whole ONNX model: it ends in the middle of a field",
            repair="Fetch or export the file again",
        )

    def _malformed_error(self, position: int) -> ModelError:
        return ModelError(
            f"{self._path} is not an ONNX model: byte {position} starts no field of one",
            repair="Give a file that an ONNX exporter wrote",
        )


def _varint(buffer: bytes, offset: int) -> tuple[int, int]:
    byte = buffer[offset]
    offset += 1
    if byte < 128:
        return byte, offset
    value = byte & 127
    for shift in range(7, 70, 7):
        byte = buffer[offset]
        offset += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, offset
    raise IndexError(offset)


def _encode(value: int) -> bytes:
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    parts.append(value)
    return bytes(parts)
