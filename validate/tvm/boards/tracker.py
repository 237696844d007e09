"""Talks to an Apache TVM RPC tracker: which boards are there, and may one of them be used.

TVM's own client waits for ever when nobody serves a key, and for minutes when no tracker is there. The protocol is one
number, then JSON messages behind their length (``tvm/rpc/tracker.py``).
"""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from roofline.errors import OptionError, did_you_mean
from roofline.reading import JsonObject
from roofline.validate.measuring.backend import RunError
from roofline.validate.records.failure import FailureKind

VARIABLE = "ROOFLINE_RPC_TRACKER"
"""Environment variable that holds the tracker's address."""

WAIT_S = 30.0
"""How long a run waits for a board that others are using."""

_MAGIC = 0x2F271
_REQUEST, _SUMMARY, _SUCCESS = 4, 6, 0
_TIMEOUT_S = 10.0


class BoardError(RunError):
    """A board or its tracker cannot be reached."""


class NoBoardError(BoardError):
    """No board became free; the run may try again."""

    kind = FailureKind.NO_BOARD


class BoardLostError(BoardError):
    """The board went away in the middle of a run, which is given to another board."""

    kind = FailureKind.BOARD_LOST


@dataclass(frozen=True, slots=True)
class Server:
    """A board that was given to us: connect soon, or the tracker gives it to another."""

    host: str
    port: int
    key: str
    """Proves to the server that it is ours."""

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Tracker:
    """The address of a tracker."""

    host: str
    port: int

    def servers(self) -> Mapping[str, tuple[str, ...]]:
        """Return the addresses of all servers, busy ones too, by key.

        Raises:
            BoardError: No tracker answers there.
        """
        with self._connect() as line:
            document = line.ask([_SUMMARY])
        found: dict[str, list[str]] = {}
        for entry in cast("list[JsonObject]", document.get("server_info", ())):
            key = str(entry.get("key", ""))
            if not key.startswith("server:"):
                continue  # a client, such as this one
            key = key.removeprefix("server:")
            host, port = entry.get("addr") or ("", 0)
            found.setdefault(key, []).append(f"{host}:{port}")
        return {key: tuple(sorted(addresses)) for key, addresses in sorted(found.items())}

    def check(self, key: str) -> tuple[str, ...]:
        """Return the addresses of the servers of a key.

        Raises:
            BoardError: No tracker answers, or no server has the key.
        """
        known = self.servers()
        if key not in known:
            hint = did_you_mean(key, known)
            hint = (
                hint
                or f"Keys served: {', '.join(known) or 'none'}; start a server: docs/boards.md"
            )
            raise BoardError(f"no server at the tracker {self} has the key {key!r}", repair=hint)
        return known[key]

    def request(self, key: str, *, wait_s: float) -> Server:
        """Return a server of a key that is free, waiting for one if need be.

        Args:
            key: The servers' key.
            wait_s: Seconds to wait.

        Raises:
            BoardError: No tracker answers, no server has the key, or none became free in time.
        """
        self.check(key)
        with self._connect() as line:
            line.wait(wait_s)
            try:
                host, port, match = line.ask([_REQUEST, key, "", 1])
            except TimeoutError:
                raise BoardError(
                    f"every server with the key {key!r} was busy for {wait_s:g} s"
                ) from None
        return Server(host, int(port), match)

    def __str__(self) -> str:
        """Return host and port."""
        return f"{self.host}:{self.port}"

    def _connect(self) -> _Line:
        try:
            return _Line(socket.create_connection((self.host, self.port), _TIMEOUT_S), str(self))
        except OSError as error:
            raise _silent_error(str(self), error) from error


def _silent_error(address: str, error: OSError) -> BoardError:
    return BoardError(
        f"no RPC tracker answers at {address}: {error.strerror or error}",
        repair="Start one: python -m tvm.exec.rpc_tracker --host 0.0.0.0 --port 9190",
    )


class _Line:
    """A connection to a tracker."""

    def __init__(self, connection: socket.socket, name: str) -> None:
        self._connection = connection
        self._name = name

    def __enter__(self) -> _Line:
        try:
            self._connection.sendall(struct.pack("<i", _MAGIC))
            answer = struct.unpack("<i", self._receive(4))[0]
        except ConnectionResetError as error:
            # A tracker that is being ended accepts the connection, and resets it.
            self._connection.close()
            raise _silent_error(self._name, error) from error
        except OSError as error:
            self._connection.close()
            raise BoardError(f"{self._name} is no RPC tracker: {error}") from error
        if answer != _MAGIC:
            self._connection.close()
            raise BoardError(f"{self._name} is no RPC tracker: it speaks another protocol")
        return self

    def __exit__(self, *error: object) -> None:
        self._connection.close()

    def wait(self, seconds: float) -> None:
        """Set how long an answer may take."""
        self._connection.settimeout(seconds)

    def ask(self, message: list[Any]) -> Any:
        """Send a message and return what the answer holds."""
        text = json.dumps(message).encode()
        try:
            self._connection.sendall(struct.pack("<i", len(text)) + text)
            (size,) = struct.unpack("<i", self._receive(4))
            code, content = json.loads(self._receive(size))
        except TimeoutError:
            raise
        except (OSError, ValueError, TypeError) as error:
            raise BoardError(f"the tracker {self._name} broke off: {error}") from error
        if code != _SUCCESS:
            raise BoardError(f"the tracker {self._name} refused: {content}")
        return content

    def _receive(self, size: int) -> bytes:
        parts: list[bytes] = []
        while size > 0:
            part = self._connection.recv(size)
            if not part:
                raise OSError("the connection was closed")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


def use_tracker(tracker: Tracker) -> None:
    """Let every process that is started from here on know the tracker."""
    os.environ[VARIABLE] = str(tracker)


def parse_tracker(text: str) -> Tracker:
    """Return the tracker at ``host:port``.

    Raises:
        OptionError: The text is no such address.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise OptionError(
            f"the RPC tracker's address {text!r} is not of the form HOST:PORT",
            repair="For example 192.168.0.10:9190",
        )
    return Tracker(host.strip("[]"), int(port))
