"""The command line: one module per verb, loaded when it is called."""

from roofline.cli._app import main

__all__ = ["main"]
