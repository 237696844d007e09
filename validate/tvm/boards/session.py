"""A board behind an RPC tracker: connecting, running a compiled model there, and asking it about itself."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from roofline.errors import MeasurementError
from roofline.temporary import temporary_folder
from roofline.validate.measuring.backend import Samples
from roofline.validate.measuring.environment import Busy, model_name, package_version
from roofline.validate.records.record import Environment
from roofline.validate.records.request import Protocol
from roofline.validate.tvm import setup
from roofline.validate.tvm.boards.file_reader import read_file
from roofline.validate.tvm.boards.tracker import (
    VARIABLE,
    WAIT_S,
    BoardError,
    BoardLostError,
    NoBoardError,
    Server,
    parse_tracker,
)
from roofline.validate.tvm.virtual_machine import Program

_CHUNK = 65_536
_PATH = 256


class Connection:
    """A session on a board, which is ours until it is closed or the time is up.

    Args:
        key: The key of the boards' servers.
        time_limit_s: Seconds after which the board's server ends the session by itself.
    """

    def __init__(self, key: str, time_limit_s: float) -> None:
        # TVM is loaded first: a board that is given away must be connected to within seconds.
        self._tvm = setup.load_tvm()
        rpc: Any = importlib.import_module("tvm.rpc")
        tracker = parse_tracker(os.environ.get(VARIABLE, ""))
        try:
            self.server: Server = tracker.request(key, wait_s=WAIT_S)
        except BoardError as error:
            message = f"no board became free: {error.message}"
            raise NoBoardError(message, repair=error.repair) from error
        try:
            self.session: Any = rpc.connect(
                self.server.host, self.server.port, self.server.key, session_timeout=time_limit_s
            )
        except Exception as error:
            message = f"the board was lost: {self.server.address} gave no session"
            raise BoardLostError(message) from error
        self.device: Any = self.session.cpu(0)
        self._reader: Any = None

    def target(self, threads: int) -> setup.TargetDescription:
        """Return the board's own description of its CPU.

        Raises:
            BoardError: Its TVM has no LLVM to tell.
        """
        try:
            cpu = str(self.session.get_function("target.llvm_get_system_cpu")())
            triple = str(self.session.get_function("target.llvm_get_system_triple")())
        except Exception as error:
            raise BoardError(
                f"the board {self.server.address} does not tell its CPU",
                repair="Name it: --rpc-target aarch64-cortex-a72, or LLVM's settings as JSON",
            ) from error
        return {"kind": "llvm", "mtriple": triple, "mcpu": cpu, "num-cores": threads}

    def use_threads(self, threads: int) -> int:
        """Have TVM use a number of threads there, and return how many it uses."""
        self.session.get_function("runtime.config_threadpool")(1, threads)
        return int(self.session.get_function("runtime.NumThreads")())

    def load(self, library: Path) -> Any:
        """Send a compiled module and load it; an archive of objects is linked there."""
        try:
            self.session.upload(str(library))
            return self.session.load_module(library.name)
        except Exception as error:
            if not self.alive():
                message = f"the board was lost: {self.server.address} went away while loading"
                raise BoardLostError(message) from error
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            raise MeasurementError(
                f"the board {self.server.address} cannot load the program: {' '.join(lines[-3:])[:400]}"
            ) from error

    def prepare_reading(self, target: setup.TargetDescription) -> None:
        """Make files of the board readable, where a small program for it can be sent."""
        tvm = self._tvm
        kernel = tvm.IRModule({"read_file": read_file()})
        library = tvm.compile(kernel, target=tvm.target.Target(dict(target)))
        with temporary_folder() as folder:
            path = export(library, folder / "reader", target)
            self._reader = self.load(path)["read_file"]

    def read(self, path: str) -> str:
        """Return the text of a file on the board, or an empty string where it cannot be read."""
        if self._reader is None:
            return ""
        name = np.zeros(_PATH, np.uint8)
        name[: len(path)] = list(path.encode())
        tensor = self._tvm.runtime.tensor
        place, content = tensor(name, self.device), tensor(np.zeros(_CHUNK, np.uint8), self.device)
        text = bytearray()
        while True:
            where = tensor(np.array([len(text), 0], np.int64), self.device)
            self._reader(place, content, where)
            size = int(where.numpy()[1])
            if size <= 0:
                return text.decode(errors="replace")
            text += content.numpy()[:size].tobytes()

    def alive(self) -> bool:
        """Return whether the board still answers."""
        try:
            self.session.get_function("runtime.NumThreads")()
        except Exception:
            return False
        return True


def export(library: Any, path: Path, target: setup.TargetDescription) -> Path:
    """Write a compiled module in the form that a board can load, and return the file.

    A shared library needs a linker for the board's processor here; without one it is an archive of object files, which
    the board links itself.
    """
    compiler = cross_compiler(target)
    if compiler:
        cc: Any = importlib.import_module("tvm.support.cc")
        made = path.with_suffix(".so")
        library.export_library(str(made), fcompile=cc.cross_compiler(compiler))
        return made
    archive: Any = importlib.import_module("tvm.support.tar")
    made = path.with_suffix(".tar")
    library.export_library(str(made), fcompile=archive.tar)
    return made


def cross_compiler(target: setup.TargetDescription) -> str:
    """Return a compiler on this machine that links for the target, or an empty string."""
    import shutil

    triple = str(target.get("mtriple", ""))
    architecture = triple.partition("-")[0]
    if architecture == os.uname().machine:
        names = ("g++", "c++", "clang++")
    else:
        names = (f"{triple}-g++", f"{architecture}-linux-gnu-g++")
    return next((name for name in names if shutil.which(name)), "")


class BoardSession(Program):
    """A compiled model in the Relax virtual machine of a board.

    Args:
        connection: To the board.
        library: The compiled module's file.
        names: The program's parameters, in order.
        threads: How many threads TVM is to use there.
        target: What the program was compiled for.
    """

    def __init__(
        self,
        connection: Connection,
        library: Path,
        names: Sequence[str],
        threads: int,
        target: setup.TargetDescription,
    ) -> None:
        self._connection = connection
        # Before the program is loaded, which starts them.
        self._threads = connection.use_threads(threads)
        super().__init__(connection.load(library), connection.device, names)
        self._target = dict(target)
        self._shares: tuple[float, float] | None = None

    def step(self) -> None:
        """Run once."""
        try:
            super().step()
        except Exception as error:
            raise self._explain(error) from error

    def sample(self, protocol: Protocol) -> Samples:
        """Have the board time its runs by itself, so that no transfer is in any sample."""
        device = self._connection.device
        # Where the program cannot be read, these stay unknown.
        self._try_reading()
        try:
            once = self._evaluate(device, 1)[0]
            wanted = int(protocol.sampling_s / max(once, 1e-9)) + 1
            before = self._busy()
            samples = self._evaluate(device, min(protocol.runs, max(3, wanted)))
        except Exception as error:
            raise self._explain(error) from error
        after = self._busy()
        if before is not None and after is not None:
            self._shares = after.shares_since(before)
        return Samples(tuple(samples))

    def environment(self, versions: Mapping[str, str]) -> Environment:
        """Return what can be read of the board."""
        read = self._connection.read
        cpuinfo, load = read("/proc/cpuinfo"), read("/proc/loadavg").split()
        cpufreq = "/sys/devices/system/cpu/cpu0/cpufreq"
        frequency = read(f"{cpufreq}/scaling_cur_freq").strip()
        memory = [line.split() for line in read("/proc/meminfo").splitlines()[:1]]
        return Environment(
            host=read("/proc/sys/kernel/hostname").strip() or self._connection.server.address,
            cpu=model_name(cpuinfo),
            cores=cpuinfo.count("processor\t:"),
            memory_bytes=int(memory[0][1]) * 1024 if memory else 0,
            governor=read(f"{cpufreq}/scaling_governor").strip(),
            frequency_hz=float(frequency) * 1e3 if frequency.isdigit() else None,
            load_average=float(load[0]) if load else None,
            others_share=self._shares[0] if self._shares else None,
            stolen_share=self._shares[1] if self._shares else None,
            versions={
                **versions,
                "system": read("/proc/sys/kernel/osrelease").strip(),
                "server": self._connection.server.address,
                "threads": str(self._threads),
                **self._tvm_there(),
            },
        )

    def peak_rss_bytes(self) -> int | None:
        """Return the largest resident set of the board's serving process, TVM itself included."""
        for line in self._connection.read("/proc/self/status").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        return None

    def _evaluate(self, device: Any, repeat: int) -> list[float]:
        evaluator = self.machine.time_evaluator("invoke_stateful", device, number=1, repeat=repeat)
        return [float(seconds) for seconds in evaluator("main").results]

    def _try_reading(self) -> None:
        import contextlib

        with contextlib.suppress(Exception):
            self._connection.prepare_reading(self._target)

    def _busy(self) -> Busy | None:
        read = self._connection.read
        # The command, in brackets, may hold spaces: fields are counted from its end.
        own = read("/proc/self/stat").rpartition(")")[2].split()
        ticks = os.sysconf("SC_CLK_TCK")
        return Busy.of(read("/proc/stat"), sum(map(int, own[11:13])) / ticks) if own else None

    def _tvm_there(self) -> dict[str, str]:
        """Return whether the board has the same versions: a file of that version's package is there."""
        maps = self._connection.read("/proc/self/maps").splitlines()
        paths = [line.split()[-1] for line in maps if "libtvm" in line]
        site = paths[0].partition("/tvm/")[0] if paths else ""
        found: dict[str, str] = {}
        for name in ("apache-tvm", "apache-tvm-ffi") if site else ():
            here = package_version(name)
            folder = f"{site}/{name.replace('-', '_')}-{here}.dist-info"
            same = bool(self._connection.read(f"{folder}/METADATA"))
            found[f"board's {name}"] = here if same else f"not {here}"
        return found

    def _explain(self, error: Exception) -> Exception:
        """Return the error, or that the board went away when it does not answer any more."""
        if self._connection.alive():
            return error
        address = self._connection.server.address
        return BoardLostError(f"the board was lost: {address} does not answer any more")
