"""Asks the questions at a terminal. Nothing is written before the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from kernelctl import terminal
from kernelctl.checks import rendering
from kernelctl.checks.results import Status
from kernelctl.init.questions import GROUPS, Group, Question

if TYPE_CHECKING:
    from kernelctl.checks.check import Report
    from kernelctl.init.draft import Draft

_INTRODUCTION: Final = (
    "This asks for the settings that have no default, checks each answer at its vendor, and writes .env at the end. "
    "Enter keeps what is in [brackets]. Ctrl-C leaves everything as it is."
)
_KEEPS: Final = "the present one"


def interview(draft: Draft) -> None:
    """Fill the draft. Raises click.Abort for Ctrl-C and the end of the input."""
    say(_INTRODUCTION)
    for group in GROUPS:
        _heading(group)
        if group.vendor and _mode(group, draft) == "emulated":
            draft.emulate(group.vendor)
            continue
        for question in group.questions:
            if question.applies(draft.setup):
                _ask(question, draft)


def say(text: str = "") -> None:
    for line in terminal.wrapped(text):
        click.echo(line)


def show_findings(reports: list[Report]) -> bool:
    """Whether one of them is an error."""
    for line in rendering.lines(reports, terminal.width(), shows_all=False):
        click.echo(line, color=terminal.colour())
    return any(result.status is Status.ERROR for report in reports for result in report.results)


def _heading(group: Group) -> None:
    click.echo()
    click.echo(click.style(group.title, bold=True), color=terminal.colour())


def _mode(group: Group, draft: Draft) -> str:
    say(f"real: {group.real}; emulated: {group.emulated}.")
    default = "emulated" if draft.before.is_emulated(group.vendor) else "real"
    while True:
        given = str(click.prompt(f"{group.title}: real or emulated?", default=default)).strip().lower()
        for mode in ("real", "emulated"):
            if given and mode.startswith(given):
                return mode
        say("Answer real or emulated.")


def _ask(question: Question, draft: Draft) -> None:
    click.echo()
    say(question.text)
    if question.where:
        say(f"Where: {question.where}")
    while True:
        value = _answer(question, draft.setup.chosen(question.setting))
        if problem := draft.problem(question, value):
            say(draft.setup.redact(problem))
            continue
        draft.set(question.setting, value)
        if _is_kept(question, draft, value):
            return


def _is_kept(question: Question, draft: Draft, value: str) -> bool:
    """Check the answer. One with an error is kept only if the operator says so."""
    if not question.checks or not value or not draft.checks:
        return True
    say("Checking …")
    if not show_findings(draft.check(*question.checks)):
        say("Good.")
        return True
    return click.confirm("Keep this answer anyway?", default=False)


def _answer(question: Question, present: str) -> str:
    """A secret is neither shown nor echoed. A single `-` empties an answer that may be empty."""
    empties = " (- for none)" if present and not question.is_required else ""
    prompt = f"{question.label}{empties}"
    if question.is_secret and present:
        given = click.prompt(f"{prompt} [{_KEEPS}]", default="", show_default=False, hide_input=True)
        return present if not given.strip() else _cleaned(given)
    given = click.prompt(prompt, default=present, show_default=bool(present), hide_input=question.is_secret)
    return _cleaned(str(given))


def _cleaned(given: str) -> str:
    """Without the spaces and quotes that a paste brings along."""
    value = given.strip().strip("\"'").strip()
    return "" if value == "-" else value
