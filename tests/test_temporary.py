"""Folders of killed processes are removed by a later run; those of living ones stay."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from roofline.child import start_python
from roofline.temporary import temporary_folder

from .cli_process import run_python

HOLDS = """
import time
from roofline.temporary import temporary_folder
with temporary_folder() as path:
    print(path, flush=True)
    time.sleep(60)
"""


def test_a_killed_process_leaves_a_folder_for_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    pipe = subprocess.PIPE
    with start_python(
        "-c", HOLDS, variables={"TMPDIR": str(tmp_path)}, stdout=pipe, text=True
    ) as held:
        left = Path(held.stdout.readline().strip())
        with temporary_folder() as mine:
            assert left.is_dir()
            assert mine.is_dir()
        assert not mine.exists()
        held.send_signal(signal.SIGKILL)
        held.wait()
    # A user's own, named after the program and the year.
    foreign = tmp_path / "roofline-999999-resnet50"
    foreign.mkdir()
    assert left.is_dir()
    with temporary_folder():
        assert not left.exists()
    assert [path.name for path in tmp_path.iterdir()] == [foreign.name]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_that_end_the_program_clean_up(tmp_path: Path, number: signal.Signals) -> None:
    code = (
        # Whatever started the tests may ignore the signal (nohup does), which the program would respect.
        f"import os, signal\nsignal.signal({int(number)}, signal.SIG_DFL)\n"
        "from roofline.cli import _app\nfrom roofline.temporary import temporary_folder\n"
        f"_app._clean_up_when_ended()\nwith temporary_folder():\n    os.kill(os.getpid(), {int(number)})"
    )
    done = run_python("-c", code, variables={"TMPDIR": str(tmp_path)})
    assert done.returncode == 128 + number
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_a_library_makes_an_error_of_ends_the_program_all_the_same(
    number: signal.Signals,
) -> None:
    handler = "default_int_handler" if number is signal.SIGINT else "SIG_DFL"
    code = (
        f"import os, signal\nsignal.signal({int(number)}, signal.{handler})\n"
        "from roofline.cli import _app\n"
        "def schema():\n"
        f"    try: os.kill(os.getpid(), {int(number)})\n"
        "    except BaseException: raise ValueError('a schema half built')\n"
        "_app._prepare = lambda command: schema()\n"
        "_app.main(['count', 'mlp'])"
    )
    done = run_python("-c", code)
    assert done.returncode == 128 + number
    assert done.stderr == "roofline: error: stopped\n"


@pytest.mark.parametrize("closed", [(1,), (2,), (0, 1, 2)])
@pytest.mark.parametrize(("verb", "code"), [("count mlp", 0), ("count nonet", 2)])
def test_closed_streams_do_no_harm(closed: tuple[int, ...], verb: str, code: int) -> None:
    done = run_python(
        "-m", "roofline", *verb.split(), preexec_fn=lambda: [os.close(n) for n in closed]
    )
    assert done.returncode == code
    assert "Traceback" not in done.stderr
