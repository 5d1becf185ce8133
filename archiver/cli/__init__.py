"""What a person can type: argv to one call, an error to one sentence and one exit code."""

from archiver.cli.main import main

__all__ = ["main"]
