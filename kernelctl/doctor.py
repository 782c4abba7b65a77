"""`kernelctl doctor`: check the set-up, and say how to fix each finding."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path

import click

from kernelctl import terminal

FOUND, COULD_NOT_RUN = 1, 2


@click.command()
@click.option(
    "--env-file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path(".env"),
    show_default=True,
    help="The settings; without the file those of the environment, as in a container.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--only", multiple=True, metavar="NAME", help="Checks whose names begin so, as whatsapp; repeatable.")
@click.option("--no-model-call", is_flag=True, help="Leave out the one check that costs a few tokens.")
def doctor(env_file: Path, *, as_json: bool, only: tuple[str, ...], no_model_call: bool) -> None:
    """Check settings, vendors, services, database and public address.

    Each finding says what is wrong, why it matters and how to fix it. Nothing is changed, and no person gets a message.
    The model answers once, with at most 16 tokens. Exit code: 0 healthy, 1 findings, 2 the checks could not run.
    """
    # Other commands start in half the time without these.
    from kernelctl.checks import rendering  # noqa: PLC0415
    from kernelctl.checks.all_checks import CHECKS, named  # noqa: PLC0415
    from kernelctl.checks.check import run_all  # noqa: PLC0415
    from kernelctl.checks.setup import CannotReadError, read_setup  # noqa: PLC0415

    checks = named(*only) if only else CHECKS
    if not checks:
        names = ", ".join(check.name for check in CHECKS)
        raise click.UsageError(f"no check has a name that begins with {' or '.join(only)}. There are: {names}")
    try:
        setup = read_setup(env_file, os.environ)
    except CannotReadError as problem:
        click.echo(f"kernelctl: {problem}", err=True)
        sys.exit(COULD_NOT_RUN)
    setup.calls_model = not no_model_call
    began = time.monotonic()
    try:
        reports = asyncio.run(run_all(checks, setup))
    except KeyboardInterrupt:
        sys.exit(COULD_NOT_RUN)
    if as_json:
        click.echo(json.dumps(rendering.as_json(reports, setup.source), indent=2, ensure_ascii=False))
    else:
        click.echo(f"The settings are from {setup.source}.\n")
        for line in rendering.lines(reports, terminal.width()):
            click.echo(line, color=terminal.colour())
        click.echo(rendering.summary(reports, time.monotonic() - began))
    sys.exit(FOUND if any(report.findings for report in reports) else 0)
