"""The options of `kernelctl init`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable


def _modes(command: Callable[..., None]) -> Callable[..., None]:
    for option, vendor in (("composio", "Composio"), ("model", "The model"), ("whatsapp", "WhatsApp")):
        choice = click.Choice(["real", "emulated"])
        command = click.option(f"--{option}", type=choice, help=f"{vendor}: the real one or the emulator.")(command)
    return command


@click.command()
@click.option(
    "--env-file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path(".env"),
    show_default=True,
    help="The file to write.",
)
@_modes
@click.option(
    "--set",
    "given",
    multiple=True,
    metavar="NAME=VALUE",
    help="An answer; repeatable. Other users of this machine can see it: use --from-environment for secrets.",
)
@click.option("--from-environment", is_flag=True, help="Take answers from variables with the names of the settings.")
@click.option("--no-input", is_flag=True, help="Ask nothing, and say what is missing.")
@click.option("--no-checks", is_flag=True, help="Ask no vendor whether the answers are right.")
@click.option("--accept-findings", is_flag=True, help="Without a terminal, write although a check has an error.")
@click.option("--yes", is_flag=True, help="Change an existing file without asking. A backup is kept.")
def init(
    env_file: Path,
    given: tuple[str, ...],
    *,
    from_environment: bool,
    no_input: bool,
    no_checks: bool,
    accept_findings: bool,
    yes: bool,
    **modes: str | None,
) -> None:
    """Ask for the settings that have no default, check them, and write .env.

    Secrets that you need not choose are created. An existing file gives the defaults; its other lines stay.
    Without a terminal the answers come from the options, and what is missing is listed (exit code 2).
    """
    from kernelctl.init.run import Options, run  # noqa: PLC0415 - other commands start in half the time without it

    options = Options(from_environment, not no_input, not no_checks, accept_findings, yes)
    run(env_file, given, modes, options)
