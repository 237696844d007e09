"""The ``roofline`` command: finds the verb's module, runs it, and turns errors into one line and an exit code."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from roofline.errors import RooflineError, did_you_mean

VERBS = (
    "demo", "count", "networks", "platforms", "predict", "compress", "sweep", "advise", "measure", "campaign",
    "calibrate", "validate", "accuracy", "import", "export", "plot", "report", "reproduce",
)  # fmt: skip
"""The verbs in the order a new user meets them; verb ``x`` lives in ``roofline.cli.verb_x``."""

# The class of every usage error, wherever the installed typer keeps it.
_USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[2]


class _Verbs(TyperGroup):
    """Imports a verb's module only when the verb is called or listed."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        return [verb for verb in VERBS if _exists(verb)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.list_commands(ctx):
            hint = did_you_mean(cmd_name, VERBS) or f"Verbs: {', '.join(self.list_commands(ctx))}"
            raise RooflineError(f"unknown verb {cmd_name!r}", repair=hint)
        module = importlib.import_module(f"roofline.cli.verb_{cmd_name}")
        command = typer.main.get_command(module.app)
        command.name = cmd_name
        return command


def _exists(verb: str) -> bool:
    return importlib.util.find_spec(f"roofline.cli.verb_{verb}") is not None


app = typer.Typer(cls=_Verbs, no_args_is_help=True, add_completion=False)


def _version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        typer.echo(f"roofline {version('roofline')}")
        raise typer.Exit


@app.callback()
def _root(  # pyright: ignore[reportUnusedFunction]
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version."
    ),
) -> None:
    """Predict how fast a neural network can run on a machine, and how far a real run is from that."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 a check failed, 2 bad input (one line on standard error)."""
    try:
        result = typer.main.get_command(app).main(
            arguments, prog_name="roofline", standalone_mode=False
        )
    except RooflineError as error:
        _fail(str(error), error.exit_code)
    except typer.Abort:
        _fail("stopped", 130)
    except BrokenPipeError:
        # The reader (head, less) has gone; there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except KeyboardInterrupt:
        _fail("stopped", 130)
    except MemoryError:
        _fail("not enough memory for this model on this machine", 2)
    except OSError as error:
        _fail(f"{error.filename or 'input/output'}: {error.strerror or error}", 2)
    except Exception as error:
        if not isinstance(error, _USAGE_ERROR):
            raise
        message: str = getattr(error, "format_message", str)()
        if not message:
            # No verb at all: the help has been shown.
            sys.exit(0)
        _fail(message, 2)
    else:
        sys.exit(result if isinstance(result, int) else 0)


def _fail(line: str, code: int) -> None:
    sys.stderr.write(f"roofline: error: {' '.join(line.split())}\n")
    sys.exit(code)
