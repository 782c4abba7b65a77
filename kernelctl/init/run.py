"""`kernelctl init`: ask, check, and write .env."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

import click

from kernelctl import terminal
from kernelctl.checks.setup import CannotReadError, read_setup
from kernelctl.init import next_steps
from kernelctl.init.draft import Draft
from kernelctl.init.env_file import ChangedMeanwhileError, EnvFile
from kernelctl.init.interview import interview, say, show_findings
from kernelctl.init.questions import GROUPS
from kernelctl.init.unattended import answered

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

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


class Options(NamedTuple):
    from_environment: bool
    may_ask: bool
    checks: bool
    accepts_findings: bool
    consents: bool


def run(env_file: Path, given: tuple[str, ...], modes: Mapping[str, str | None], options: Options) -> None:
    """Exits with NOT_WRITTEN or CANNOT_RUN unless the file is as the answers say."""
    try:
        draft = Draft(read_setup(env_file, {}), env_file, checks=options.checks)
        file = EnvFile(env_file, _example(env_file.parent))
    except (CannotReadError, OSError, UnicodeDecodeError) as problem:
        _stop(CANNOT_RUN, f"{problem}" if isinstance(problem, CannotReadError) else f"{env_file} cannot be read")
    is_asked = terminal.is_interactive() and options.may_ask
    try:
        if is_asked:
            interview(draft)
        else:
            _take(draft, modes, _given(given, from_environment=options.from_environment))
            _check_all(draft, accepts=options.accepts_findings)
        _save(draft, file, env_file, consents=options.consents, is_asked=is_asked)
    except (click.Abort, KeyboardInterrupt):
        click.echo()
        _stop(NOT_WRITTEN, "Stopped. Nothing was changed.")
    _show_rest(draft)


def _example(folder: Path) -> str:
    """The comments of the project's own example, if it is beside."""
    example = folder / ".env.example"
    return example.read_text(encoding="utf-8") if example.is_file() else ""


def _given(pairs: tuple[str, ...], *, from_environment: bool) -> dict[str, str]:
    names = [question.setting for group in GROUPS for question in group.questions]
    given = {name: os.environ[name] for name in names if from_environment and name in os.environ}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign or name not in names:
            raise click.UsageError(f"--set takes NAME=VALUE, with one of the names {', '.join(names)}")
        given[name] = value
    return {name: value.strip() for name, value in given.items()}


def _take(draft: Draft, modes: Mapping[str, str | None], given: Mapping[str, str]) -> None:
    if lines := answered(draft, modes, given):
        click.echo("kernelctl: answers are missing, and there is no terminal to ask for them:", err=True)
        for line in lines:
            for number, part in enumerate(terminal.wrapped(line, indent=4)):
                click.echo(part[2:] if number == 0 else part, err=True)
        _stop(CANNOT_RUN, "Give values with --set NAME=VALUE, or as variables with --from-environment.")


def _check_all(draft: Draft, *, accepts: bool) -> None:
    names = [name for group in GROUPS for question in group.questions for name in question.checks]
    if show_findings(draft.check(*names)) and not accepts:
        _stop(NOT_WRITTEN, "Nothing was written. Correct the answers, or write them anyway with --accept-findings.")


def _save(draft: Draft, file: EnvFile, env_file: Path, *, consents: bool, is_asked: bool) -> None:
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


def _show_rest(draft: Draft) -> None:
    """The findings that no answer here can fix, and the next steps."""
    public = ("public",) if draft.setup.values.get("CONNECT_PUBLIC_URL") else ()
    later = draft.check(*_AFTERWARDS, *public)
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
    try:
        backup = file.write()
    except ChangedMeanwhileError:
        _stop(NOT_WRITTEN, f"{env_file} was changed by another program meanwhile. Nothing was written: run it again.")
    except OSError as problem:
        _stop(CANNOT_RUN, f"{env_file} cannot be written ({problem.strerror}). Nothing was changed.")
    say(f"Written: {env_file}, closed to other users." + (f" The former one is {backup.name}." if backup else ""))


def _stop(code: int, text: str) -> NoReturn:
    for line in terminal.wrapped(text if code == NOT_WRITTEN else f"kernelctl: {text}"):
        click.echo(line, err=True)
    sys.exit(code)
