"""Entry of the command line."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

import click

from .subject import Subject


def _version() -> str:
    try:
        return version("genfscheck")
    except PackageNotFoundError:
        return "unknown"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(_version(), prog_name="genfscheck")
@click.pass_context
def cli(context: click.Context) -> None:
    """Explore every interleaving of a locking protocol and show which promises break."""


def run(subject: Subject, arguments: Sequence[str] | None = None) -> int:
    """Run the command line on a model; the result is the exit status."""
    try:
        result = cli.main(
            args=None if arguments is None else list(arguments),
            prog_name="genfscheck",
            standalone_mode=False,
            obj=subject,
        )
    except click.ClickException as error:
        click.echo(f"genfscheck: {error.format_message()}", err=True)
        return 2
    return result if isinstance(result, int) else 0
