"""The ``roofline`` command: finds the verb's module, runs it, and turns errors into one line and an exit code."""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from functools import cache, partial
from pathlib import Path
from typing import Any, cast

import typer
from typer.core import TyperGroup, TyperOption

from roofline.cli._options import split_names
from roofline.cli._output import EXPLAIN, MARKDOWN, QUIET
from roofline.cli._streams import open_streams
from roofline.errors import OptionError, RooflineError, did_you_mean, one_line
from roofline.reading import MAX_INTEGER, MAX_REAL, is_file, quote

VERBS = (
    "demo", "count", "networks", "platforms", "predict", "compare", "compress", "sweep", "advise", "measure",
    "campaign", "calibrate", "validate", "score", "accuracy", "import", "export", "plot", "report", "reproduce",
    "schema",
)  # fmt: skip
"""The verbs in the order a new user meets them; verb ``x`` lives in ``roofline.cli.verb_x``. Others come last."""

_INTERRUPTED = 128 + signal.SIGINT

# The class of every usage error, wherever the installed typer keeps it.
_USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[2]


class _Verbs(TyperGroup):
    """Imports a verb's module only when the verb is called or listed."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        return _verbs()

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.list_commands(ctx):
            if ctx.resilient_parsing:
                # A shell that completes a line asks; it wants no sentence.
                return None
            verbs = self.list_commands(ctx)
            hint = did_you_mean(cmd_name, verbs) or f"Verbs: {', '.join(verbs)}"
            raise RooflineError(f"unknown verb {cmd_name!r}", repair=hint)
        module = importlib.import_module(f"roofline.cli.verb_{cmd_name}")
        command = typer.main.get_command(module.app)
        command.name = cmd_name
        _prepare(command)
        return command


def _prepare(command: Any) -> None:
    """Give a verb, and every verb within it, what all verbs have in common."""
    for inner in getattr(command, "commands", {}).values():
        _prepare(inner)
    _bound_numbers(command)
    for parameter in command.params:
        if hasattr(parameter.type, "case_sensitive"):
            # A choice is a name, and names are known in any capitals.
            parameter.type.case_sensitive = False
        if parameter.name in _LISTS and (
            parameter.nargs == -1 or getattr(parameter, "multiple", False)
        ):
            parameter.type_cast_value = partial(
                _split_entries, parameter, parameter.type_cast_value
            )
    names = {parameter.name for parameter in command.params}
    if "form" in names:
        explained = "Say how figures are meant, and what to do next."
        command.params.append(_switch("--quiet", "-q", QUIET, "Leave out notes and messages."))
        command.params.append(_switch("--explain", None, EXPLAIN, explained))
    if {"form", "output"} <= names:
        command.invoke = partial(_in_form_of_its_file, command.invoke)
    if "output" in names:
        command.invoke = partial(_keep_inputs, command.invoke)
    if not hasattr(command, "commands"):
        command.allow_extra_args = True
        command.invoke = partial(_refuse_more_arguments, command.invoke)


_LISTS = frozenset({
    "models", "keys", "platform", "datatype", "batch", "threads", "backend", "prediction", "segment", "kind", "has",
})  # fmt: skip
"""What a verb may take several of: given one by one, or joined by commas."""


def _refuse_more_arguments(invoke: Callable[[Any], Any], context: Any) -> Any:
    """Run a verb that got no more arguments than it takes.

    Raises:
        OptionError: It got more; what it takes is said, and what takes several.
    """
    if not context.args:
        return invoke(context)
    verb = context.command
    taken = [each.metavar for each in verb.params if each.param_type_name == "argument"]
    what = f"{' '.join(taken)} alone" if taken else "no argument"
    more = ", ".join(quote(text) for text in context.args[:3])
    raise OptionError(
        f"{more} is too many: {verb.name} takes {what}", repair=_SEVERAL.get(verb.name, "")
    )


_SEVERAL = {
    "count": "Two on one page: roofline compare A B",
    "compress": "Run it once for each network",
}
"""What to do instead, by verbs that take one of what a user may have several of."""


def _split_entries(
    parameter: Any, cast_value: Callable[[Any, Any], Any], context: Any, value: Any
) -> Any:
    """Return the entries of an option or argument, of which one text may hold several.

    Raises:
        OptionError: A number is written with a comma between its thousands.
    """
    if not isinstance(value, (list, tuple)):
        return cast_value(context, value)
    texts = cast("Sequence[Any]", value)
    if parameter.type.name.startswith("int"):
        for text in texts:
            if re.search(r",\s*0\d+", str(text)):
                raise OptionError(
                    f"{max(parameter.opts, key=len)} {str(text)!r} is a list of numbers, one of which begins with 0",
                    repair="Write a number without commas",
                )
    whole = [text for text in texts if not isinstance(text, str)]
    # A check of its own knows one model by several paths.
    once = parameter.name != "models" or parameter.callback is None
    return cast_value(context, whole or split_names(texts, once=once))


def _switch(name: str, short: str | None, variable: ContextVar[bool], text: str) -> TyperOption:
    def switch(_context: Any, _parameter: Any, value: bool) -> None:
        variable.set(value)

    names = [name] if short is None else [name, short]
    return TyperOption(
        param_decls=names,
        is_flag=True,
        default=False,
        expose_value=False,
        callback=switch,
        help=text,
    )


def _keep_inputs(invoke: Callable[[Any], Any], context: Any) -> Any:
    """Refuse to write over a file that the same command reads.

    Raises:
        OptionError: The output is one of the inputs.
    """
    output: Any = context.params.get("output")
    if output is not None and is_file(output):
        for name, given in context.params.items():
            several = isinstance(given, (list, tuple))
            entries = cast("Sequence[Any]", given if several else [given])
            for entry in entries:
                if (
                    name != "output"
                    and isinstance(entry, (str, Path))
                    and _is_file(entry)
                    and Path(output).samefile(entry)
                ):
                    raise OptionError(
                        f"cannot write {output}: the same command reads it",
                        repair="Choose another file",
                    )
    return invoke(context)


def _is_file(entry: str | Path) -> bool:
    try:
        return Path(entry).is_file()
    except (OSError, ValueError):
        # Texts of other flags are no paths.
        return False


def _in_form_of_its_file(invoke: Callable[[Any], Any], context: Any) -> Any:
    """Write what goes to a .json, .csv or .md file in that format.

    Raises:
        OptionError: Another format is asked for.
    """
    output: Any = context.params.get("output")
    chosen = context.get_parameter_source("form")
    MARKDOWN.set(False)
    ending = "" if output is None else Path(output).suffix.lower()
    form = _FORMS.get(ending)
    if form is not None:
        asked = str(context.params["form"])
        if chosen is not None and chosen.name != "DEFAULT" and asked != form:
            raise OptionError(
                f"--format {asked} contradicts {output}, whose name asks for {form}",
                repair=f"Leave --format out, or name a file {_ENDINGS[asked]}",
            )
        context.params["form"] = form
        MARKDOWN.set(ending == ".md")
    return invoke(context)


_FORMS = {".json": "json", ".csv": "csv", ".md": "table"}
"""The format of a file, by the ending of its name."""
_ENDINGS = {"json": ".json", "csv": ".csv", "table": ".txt or .md"}


def _bound_numbers(command: Any) -> None:
    """Give every flag that takes a number the bounds that its type leaves open."""
    for parameter in command.params:
        if parameter.type.name.startswith(("int", "float")) and parameter.callback is None:
            parameter.callback = _check_range


def _check_range(_context: Any, parameter: Any, value: Any) -> Any:
    several = isinstance(value, (list, tuple))
    for entry in cast("Sequence[float | None]", value if several else [value]):
        # What is not a number is within nothing.
        if entry is None or abs(entry) <= (MAX_REAL if isinstance(entry, float) else MAX_INTEGER):
            continue
        kind = (
            f"a number within ±{MAX_REAL:g}" if isinstance(entry, float) else "a number of 64 bits"
        )
        raise OptionError(f"{max(parameter.opts, key=len)} is {quote(entry)}, not {kind}")
    return value


@cache
def _verbs() -> list[str]:
    """Return every verb whose module is there."""
    found = {
        module.name.removeprefix("verb_")
        for module in pkgutil.iter_modules([str(Path(__file__).parent)])
        if module.name.startswith("verb_")
    }
    return [verb for verb in VERBS if verb in found] + sorted(found.difference(VERBS))


app = typer.Typer(cls=_Verbs, no_args_is_help=True)


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
    open_streams()
    ended = _clean_up_when_ended()
    try:
        result = typer.main.get_command(app).main(
            arguments, prog_name="roofline", standalone_mode=False
        )
    except RooflineError as error:
        _fail(error.line(), error.exit_code)
    except typer.Abort:
        _fail("stopped", _INTERRUPTED)
    except KeyboardInterrupt:
        _fail("stopped", _INTERRUPTED)
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("roofline."):
            raise
        # `python -m` in a checkout takes its folder roofline/ for the whole package, of which it is one part of four.
        _fail(f"the installed program is hidden by {_source()}. Start it as: roofline", 2)
    except MemoryError:
        _fail("not enough memory for this model on this machine", 2)
    except OSError as error:
        _fail(f"{error.filename or 'input/output'}: {error.strerror or error}", 2)
    except Exception as error:
        if ended:
            # A library that was at work made an error of its own of the signal (pydantic does, of a schema half built).
            _fail("stopped", 128 + ended[0])
        if not isinstance(error, _USAGE_ERROR):
            raise
        message: str = getattr(error, "format_message", str)()
        if not message:
            # No verb at all: the help has been shown.
            sys.exit(0)
        # What the user typed stands in it whole.
        _fail(one_line(message, 300), 2)
    else:
        if result == _INTERRUPTED:
            # Typer makes an exit of an interrupt, without a word.
            _fail("stopped", _INTERRUPTED)
        sys.exit(result if isinstance(result, int) else 0)


def _clean_up_when_ended() -> list[int]:
    """Let the signals that end a program end it as an error would: temporary folders go, what is recorded stays.

    Returns:
        The signals that have come, which fills when they come.
    """
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        return came

    def stop(number: int, _frame: object) -> None:
        came.append(number)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        sys.exit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        # Under nohup the hang-up is ignored, and stays so.
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, stop)
    return came


def _source() -> str:
    return os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120


def _fail(line: str, code: int) -> None:
    # What the user, a file or a library said stands in it.
    sys.stderr.write(f"roofline: error: {one_line(line, 2100)}\n")
    sys.exit(code)
