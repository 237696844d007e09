"""Boards without boards: the tracker's client against a tracker of our own, and the fleet with a fake tracker."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time

import pytest

from roofline.errors import OptionError
from roofline.validate.campaigns.fleet import spread
from roofline.validate.campaigns.grid import load
from roofline.validate.campaigns.runner import Task
from roofline.validate.records.failure import Failure, FailureKind
from roofline.validate.records.record import Measurement, Status
from roofline.validate.records.request import RunRequest
from roofline.validate.records.store import Store
from roofline.validate.tvm.boards.tracker import BoardError, Tracker, parse_tracker

MAGIC = struct.pack("<i", 0x2F271)
SUMMARY = [0, {"queue_info": {}, "server_info": [
    {"key": "server:pi", "addr": ["10.0.0.7", 9090]}, {}, {"key": "server:pi", "addr": ["10.0.0.5", 9090]},
    {"key": "server:nano", "addr": ["10.0.0.6", 9090]}]}]  # fmt: skip


@pytest.fixture
def tracker():
    """Start trackers that answer as they are told: None is silence, bytes are sent as they are."""
    listeners = []

    def start(magic, *answers):
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        threading.Thread(target=serve, args=(listener, magic, answers), daemon=True).start()
        return Tracker("127.0.0.1", listener.getsockname()[1])

    yield start
    for listener in listeners:
        # Closing alone leaves a thread in accept(), and with it the lines that it keeps silent.
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def serve(listener, magic, answers):
    with contextlib.ExitStack() as silent:
        while True:
            try:
                line, _ = listener.accept()
            except OSError:
                return
            with line, contextlib.suppress(OSError):
                line.recv(4)
                line.sendall(magic)
                size = line.recv(4)
                if not size:
                    continue
                message = json.loads(line.recv(struct.unpack("<i", size)[0]))
                answer = answers[0] if message == [6] else answers[-1]
                if answer is None:
                    silent.enter_context(line.dup())
                    continue
                text = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                line.sendall(struct.pack("<i", len(text)) + text)


def test_the_tracker_tells_its_servers_by_key(tracker):
    there = tracker(MAGIC, SUMMARY)
    assert there.servers() == {
        "nano": ("10.0.0.6:9090",),
        "pi": ("10.0.0.5:9090", "10.0.0.7:9090"),
    }
    with pytest.raises(BoardError, match=r"no server .* has the key 'pie'. Did you mean 'pi'"):
        there.check("pie")


def test_a_board_is_given_or_the_wait_ends(tracker):
    given = tracker(MAGIC, SUMMARY, [0, ["10.0.0.5", 9090, "pi:0.5"]]).request("pi", wait_s=5)
    assert (given.host, given.port, given.key) == ("10.0.0.5", 9090, "pi:0.5")
    start = time.monotonic()
    with pytest.raises(BoardError, match=r"was busy for 0.3 s"):
        tracker(MAGIC, SUMMARY, None).request("pi", wait_s=0.3)
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    ("magic", "answer", "message"),
    [
        (b"HTTP", SUMMARY, "is no RPC tracker: it speaks another protocol"),
        (b"", SUMMARY, "is no RPC tracker"),
        (MAGIC, b"{", "broke off"),
        (MAGIC, [-1, "no"], "refused"),
        (MAGIC, 3, "broke off"),
    ],
)
def test_whatever_answers_instead_of_a_tracker_is_one_clear_error(tracker, magic, answer, message):
    with pytest.raises(BoardError, match=message):
        tracker(magic, answer).servers()


def test_a_dead_tracker_and_a_malformed_address_are_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(BoardError, match=f"no RPC tracker answers at 127.0.0.1:{port}"):
        Tracker("127.0.0.1", port).servers()
    assert parse_tracker("[::1]:9190") == Tracker("::1", 9190)
    for text in ("9190", "host:", ":9190", "host:99999", "host:port"):
        with pytest.raises(OptionError, match="not of the form HOST:PORT"):
            parse_tracker(text)


def test_a_tracker_that_is_being_ended_is_said_not_to_answer():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def reset():
            line, _ = listener.accept()
            # No lingering: closing sends a reset.
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            line.close()

        thread = threading.Thread(target=reset)
        thread.start()
        with pytest.raises(BoardError, match=r"no RPC tracker answers at .*: Connection reset"):
            Tracker(*listener.getsockname()).servers()
        thread.join()


@pytest.mark.parametrize(
    ("board", "why"),
    [
        ("{tracker: '10.0.0.1'}", "boards: pi: the RPC tracker's address '10.0.0.1' is not"),
        ("{target: aarch64}", "boards: pi: the board's target 'aarch64' is not understood"),
        ("{target: '{\"mcpu\": }'}", "boards: pi: the board's target is not JSON"),
    ],
)
def test_a_board_that_cannot_be_read_is_refused_before_any_run(tmp_path, board, why):
    path = tmp_path / "boards.yaml"
    path.write_text(f"schema_version: 1\nnetwork: mlp\ntarget: pi\nboards: {{pi: {board}}}\n")
    with pytest.raises(OptionError, match=why):
        load(path)


class Boards:
    """A fake tracker and its boards: each runs one point at a time and may die or hang in the middle."""

    def __init__(self, count):
        self.lock = threading.Lock()
        self.free = list(range(count))
        self.alive = set(self.free)
        self.runs = []

    def servers(self):
        return {"pi": tuple(map(str, sorted(self.alive)))} if self.alive else {}

    def measure(self, behaviour):
        def run(point):
            with self.lock:
                if not self.free:
                    return ended(point, Status.FAILED, FailureKind.NO_BOARD)
                board = self.free.pop()
                self.runs.append((board, point.batch))
            what = behaviour(board, point)
            time.sleep(0.01)
            if what == "dies":
                self.alive.discard(board)
                return ended(point, Status.FAILED, FailureKind.BOARD_LOST)
            with self.lock:
                self.free.append(board)
            if what == "hangs":
                return ended(point, Status.TIMEOUT, FailureKind.TIME_LIMIT)
            return ended(point, Status.OK)

        return run


def ended(point, status, kind=None):
    failure = None if kind is None else Failure(kind, "why")
    return Measurement(RunRequest(point.network, "tvm-rpc", batch=point.batch), status, failure)


def tasks(count):
    return [Task(RunRequest("mlp", batch=n, target="pi"), 1, 1) for n in range(1, count + 1)]


def run(tmp_path, boards, behaviour, count=12, **options):
    with Store(tmp_path / "records.db") as store:
        done = spread(
            tasks(count), store, boards.measure(behaviour), boards, "pi",
            report=lambda task, record: None, **options,
        )  # fmt: skip
        return done, list(store.records())


def test_runs_are_spread_over_all_boards(tmp_path):
    boards = Boards(3)
    # Three runs must be under way at once, or the barrier breaks and the runs fail.
    barrier = threading.Barrier(3, timeout=10)
    done, records = run(tmp_path, boards, lambda board, point: barrier.wait() and None)
    assert done == len(records) == 12
    assert all(record.ok for record in records)
    assert {board for board, _ in boards.runs} == {0, 1, 2}


def test_a_dead_boards_run_goes_to_another(tmp_path):
    boards = Boards(2)

    def behaviour(board, point):
        return "dies" if board == 1 and point.batch >= 4 else ""

    done, records = run(tmp_path, boards, behaviour)
    assert done == 12
    assert sorted(record.job.batch for record in records) == list(range(1, 13))
    assert all(record.ok for record in records)
    lost = next(batch for board, batch in boards.runs if board == 1 and batch >= 4)
    assert (0, lost) in boards.runs


def test_a_program_that_ends_every_board_does_not_end_the_fleet(tmp_path):
    boards = Boards(4)
    _, records = run(tmp_path, boards, lambda board, point: "dies" if point.batch == 5 else "")
    outcome = {record.job.batch: record for record in records}
    assert len(outcome) == 12
    assert outcome.pop(5).failure.kind is FailureKind.BOARD_LOST
    assert all(record.ok for record in outcome.values())
    assert len(boards.alive) == 2


def test_a_hang_is_tried_on_another_board_once(tmp_path):
    boards = Boards(2)
    hung = []

    def behaviour(board, point):
        if point.batch == 2 or (point.batch == 3 and not hung):
            hung.append(point.batch)
            return "hangs"
        return ""

    _, records = run(tmp_path, boards, behaviour)
    status = {record.job.batch: record.status for record in records}
    assert status.pop(2) is Status.TIMEOUT
    assert set(status.values()) == {Status.OK}
    assert hung.count(2) == 2


def test_when_all_boards_are_gone_what_is_recorded_stays(tmp_path):
    boards = Boards(1)

    def behaviour(board, point):
        return "dies" if point.batch == 4 else ""

    with pytest.raises(
        BoardError, match=r"no server with the key 'pi' is left .* 9 runs are left"
    ):
        run(tmp_path, boards, behaviour, gone_s=0.1)
    with Store(tmp_path / "records.db") as store:
        assert sorted(record.job.batch for record in store.records()) == [1, 2, 3]
    done, records = run(tmp_path, Boards(2), lambda board, point: "")
    assert done == 9
    assert len(records) == 12
