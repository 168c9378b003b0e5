"""Entry of the command line: the verbs, and what bad input gets."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

import click

from ..lang.errors import ModelError, ScenarioError
from ..trace.errors import DataError
from .bench import bench
from .check import check
from .conform import conform, stress
from .coverage import coverage
from .export import export
from .findings import findings
from .graph import graph
from .library import Subject
from .outcome import EXIT_INCONCLUSIVE, EXIT_USAGE
from .prove import prove
from .races import races
from .replay import replay
from .scenarios import scenarios
from .show import show


def _version() -> str:
    try:
        return version("genfscheck")
    except PackageNotFoundError:
        return "unknown"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(_version(), prog_name="genfscheck")
def cli() -> None:
    """Explore every interleaving of a locking protocol and show which promises break.

    Exit status: 0 all hold; 1 a violation; 2 wrong usage or bad input; 3 inconclusive.
    """


for verb in (
    check, scenarios, show, findings, coverage, races, graph, export, bench, prove, replay,
    conform, stress,
):  # fmt: skip
    cli.add_command(verb)


def run(subject: Subject, arguments: Sequence[str] | None = None) -> int:
    """Run the command line on a model; the result is the exit status."""
    try:
        result = cli.main(
            args=None if arguments is None else list(arguments),
            prog_name="genfscheck",
            standalone_mode=False,
            obj=subject,
        )
    except click.Abort:
        _complain("interrupted")
        return EXIT_INCONCLUSIVE
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return EXIT_USAGE
    except click.ClickException as error:
        _complain(error.format_message())
        return EXIT_USAGE
    except (DataError, ModelError, ScenarioError) as error:
        _complain(str(error))
        return EXIT_USAGE
    except Exception:
        traceback.print_exc()
        _complain("internal error: no verdict")
        return EXIT_INCONCLUSIVE
    return result if isinstance(result, int) else 0


def _complain(message: str) -> None:
    sys.stdout.flush()
    click.echo(f"genfscheck: {' '.join(message.split())}", err=True)
