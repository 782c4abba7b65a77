"""The answers without a terminal: options, variables of the environment, and the existing .env."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernelctl.init.questions import GROUPS, VENDOR_GROUPS, Group, Question

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kernelctl.init.draft import Draft


def answered(draft: Draft, modes: Mapping[str, str | None], given: Mapping[str, str]) -> list[str]:
    """Fill the draft. Return a line for each answer that is missing or cannot be taken.

    `modes` are `real` or `emulated` by the options of the vendors' groups; `given` are values by setting.
    """
    lines = []
    for group in VENDOR_GROUPS:
        mode = modes.get(group.option) or _known_mode(group, draft, given)
        if mode is None:
            lines.append(f"--{group.option} real or --{group.option} emulated ({group.real}, or {group.emulated})")
        elif mode == "emulated":
            draft.emulate(group.vendor)
    for group, question in _asked(modes, draft, given):
        value = given.get(question.setting, draft.setup.chosen(question.setting))
        problem = draft.problem(question, value)
        if not problem:
            draft.set(question.setting, value)
        elif not value:
            lines.append(f"{question.setting}: {question.text}{f' Where: {question.where}' if question.where else ''}")
        else:
            lines.append(f"{question.setting}: {draft.setup.redact(problem)} ({group.title})")
    return lines


def _known_mode(group: Group, draft: Draft, given: Mapping[str, str]) -> str | None:
    """The mode that the settings imply; None: they imply none."""
    is_named = any(question.setting in given for question in group.questions)
    return "real" if is_named or not draft.before.is_emulated(group.vendor) else None


def _asked(modes: Mapping[str, str | None], draft: Draft, given: Mapping[str, str]) -> Iterator[tuple[Group, Question]]:
    for group in GROUPS:
        is_real = not group.vendor or (modes.get(group.option) or _known_mode(group, draft, given)) == "real"
        for question in group.questions:
            if is_real and question.applies(draft.setup):
                yield group, question
