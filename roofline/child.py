"""Starts Python processes that import nothing from the folder the user stands in.

Python puts the working directory (``-m``, ``-c``) or a script's folder first on the path of modules. A user's file
``numpy.py``, or a checkout of this project, would then be imported in place of what is installed. All children are
started here, so that none can be: a test reads the sources for any other place that starts one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_PATH = "PYTHONPATH"


def start_python(
    *arguments: str | bytes, variables: Mapping[str, str] | None = None, **options: Any
) -> subprocess.Popen[Any]:
    """Start this interpreter, its virtual environment included.

    Args:
        arguments: Python's own: ``"-m", "module", …`` or ``"-c", "code", …`` or a script.
        variables: Environment variables, added to this process's own.
        options: Those of `subprocess.Popen`, except ``env``. What a user types is not for a child: its standard input
            is empty unless it is given here.
    """
    streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, **options}
    return subprocess.Popen(command(*arguments), env=environment(variables or {}), **streams)


def command(*arguments: str | bytes) -> list[str | bytes]:
    """Return the command line of a child, for what can only be started by another program; see `environment`."""
    return [sys.executable, "-P", *arguments]


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return a child's environment, in which its own children are safe too.

    Folders of ``PYTHONPATH`` that are named from the root were asked for by name and stay. The others mean wherever one
    stands, and go; the commonest is the empty entry that ``PYTHONPATH=$PYTHONPATH:/some/folder`` leaves.

    Args:
        variables: Added to this process's own.
    """
    wanted = {**os.environ, "PYTHONSAFEPATH": "1", **variables}
    folders = [
        entry for entry in wanted.pop(_PATH, "").split(os.pathsep) if Path(entry).is_absolute()
    ]
    return {**wanted, _PATH: os.pathsep.join(folders)} if folders else wanted
