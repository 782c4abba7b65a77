"""`kernelctl init`: ask, check, and write .env."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from kernelctl import terminal

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernelctl.checks.check import Report
    from kernelctl.init.draft import Draft
    from kernelctl.init.env_file import EnvFile

NOT_WRITTEN, CANNOT_RUN = 1, 2
_AFTERWARDS: Final = (
    "whatsapp.subscription",
    "whatsapp.fields",
    "whatsapp.callback",
    "whatsapp.templates",
    "model.transcription",
    "database.keys",
    "settings.bounds",
)
"""The checks of what is still to do elsewhere. No answer is asked again because of them."""


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
    # Other commands start in half the time without these.
    from kernelctl.checks.setup import CannotReadError, read_setup  # noqa: PLC0415
    from kernelctl.init.draft import Draft  # noqa: PLC0415
    from kernelctl.init.env_file import EnvFile  # noqa: PLC0415
    from kernelctl.init.interview import interview  # noqa: PLC0415

    try:
        draft = Draft(read_setup(env_file, {}), env_file, checks=not no_checks)
        file = EnvFile(env_file, _example(env_file.parent))
    except (CannotReadError, OSError, UnicodeDecodeError) as problem:
        _stop(CANNOT_RUN, f"{problem}" if isinstance(problem, CannotReadError) else f"{env_file} cannot be read")
    is_asked = terminal.is_interactive() and not no_input
    try:
        if is_asked:
            interview(draft)
        else:
            _take(draft, modes, _given(given, from_environment=from_environment))
            _check_all(draft, accepts=accept_findings)
        _finish(draft, file, env_file, consents=yes, is_asked=is_asked)
    except click.Abort:
        click.echo()
        _stop(NOT_WRITTEN, "Stopped. Nothing was changed.")


def _example(folder: Path) -> str:
    """The comments of the project's own example, if it is beside."""
    example = folder / ".env.example"
    return example.read_text(encoding="utf-8") if example.is_file() else ""


def _given(pairs: tuple[str, ...], *, from_environment: bool) -> dict[str, str]:
    from kernelctl.init.questions import GROUPS  # noqa: PLC0415

    names = [question.setting for group in GROUPS for question in group.questions]
    given = {name: os.environ[name] for name in names if from_environment and name in os.environ}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign or name not in names:
            raise click.UsageError(f"--set takes NAME=VALUE, with one of the names {', '.join(names)}")
        given[name] = value
    return {name: value.strip() for name, value in given.items()}


def _take(draft: Draft, modes: dict[str, str | None], given: dict[str, str]) -> None:
    from kernelctl.init.unattended import answered  # noqa: PLC0415

    if lines := answered(draft, modes, given):
        click.echo("kernelctl: answers are missing, and there is no terminal to ask for them:", err=True)
        for line in lines:
            for number, part in enumerate(terminal.wrapped(line, indent=4)):
                click.echo(part[2:] if number == 0 else part, err=True)
        _stop(CANNOT_RUN, "Give values with --set NAME=VALUE, or as variables with --from-environment.")


def _check_all(draft: Draft, *, accepts: bool) -> None:
    from kernelctl.init.interview import show_findings  # noqa: PLC0415
    from kernelctl.init.questions import GROUPS  # noqa: PLC0415

    names = [name for group in GROUPS for question in group.questions for name in question.checks]
    if show_findings(draft.check(*names)) and not accepts:
        _stop(NOT_WRITTEN, "Nothing was written. Correct the answers, or write them anyway with --accept-findings.")


def _finish(draft: Draft, file: EnvFile, env_file: Path, *, consents: bool, is_asked: bool) -> None:
    from kernelctl.init import next_steps  # noqa: PLC0415
    from kernelctl.init.interview import say, show_findings  # noqa: PLC0415
    from kernelctl.init.questions import GROUPS  # noqa: PLC0415

    created = draft.create_secrets()
    file.update(draft.to_write(), {question.setting: question.text for group in GROUPS for question in group.questions})
    click.echo()
    if lines := file.unreadable_lines():
        say(f"These lines of {env_file} are no settings, and stay as they are: {', '.join(map(str, lines))}.")
    if not file.is_changed:
        say(f"{env_file} stays as it is: nothing has changed.")
    else:
        _consent(draft, file, env_file, created, consents=consents, is_asked=is_asked)
        _write(file, env_file)
    public = ("public",) if draft.setup.values.get("CONNECT_PUBLIC_URL") else ()
    later: list[Report] = draft.check(*_AFTERWARDS, *public)
    if any(report.findings for report in later):
        click.echo()
        say("Still to do, here or at the vendors:")
        show_findings(later)
    else:
        click.echo()
    for line in next_steps.lines(draft.setup):
        click.echo(line)


def _consent(
    draft: Draft, file: EnvFile, env_file: Path, created: list[str], *, consents: bool, is_asked: bool
) -> None:
    from kernelctl.init.interview import say  # noqa: PLC0415

    changed = sorted(set(draft.to_write()) - set(created))
    if changed:
        say(f"Set: {', '.join(changed)}.")
    if created:
        say(f"Created: {', '.join(created)}.")
    if consents or not (file.exists or is_asked):
        return
    if not is_asked:
        _stop(CANNOT_RUN, f"{env_file} exists: --yes changes it, and keeps a backup.")
    if not click.confirm(f"Write {env_file}?", default=True):
        raise click.Abort


def _write(file: EnvFile, env_file: Path) -> None:
    from kernelctl.init.env_file import ChangedMeanwhileError  # noqa: PLC0415
    from kernelctl.init.interview import say  # noqa: PLC0415

    try:
        backup = file.write()
    except ChangedMeanwhileError:
        _stop(NOT_WRITTEN, f"{env_file} was changed by another program meanwhile. Nothing was written: run it again.")
    except OSError as problem:
        _stop(CANNOT_RUN, f"{env_file} cannot be written ({problem.strerror}). Nothing was changed.")
    say(f"Written: {env_file}, closed to other users." + (f" The former one is {backup.name}." if backup else ""))


def _stop(code: int, text: str) -> None:
    for line in terminal.wrapped(text if code == NOT_WRITTEN else f"kernelctl: {text}"):
        click.echo(line, err=True)
    sys.exit(code)
