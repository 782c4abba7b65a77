"""The settings as they are answered so far, beside those of the existing file."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from kernelctl.checks.all_checks import named
from kernelctl.checks.check import run_all
from kernelctl.checks.setup import Setup, read_file
from kernelctl.init.env_file import quoted
from kernelctl.init.new_secrets import CREATED, missing_secrets
from serving.secret_files import file_setting
from serving.vendors import VENDORS

if TYPE_CHECKING:
    from pathlib import Path

    from kernelctl.checks.check import Report
    from kernelctl.init.questions import Question


class Draft:
    """`changes` are what the file will hold; an empty value unsets a setting. `before` is the set-up of the file,
    which may not exist yet. Without `checks` no vendor is asked.
    """

    def __init__(self, before: Setup, file: Path, *, checks: bool = True) -> None:
        self.before = before
        self._file = file
        self.changes: dict[str, str] = {}
        self.checks = checks

    @property
    def setup(self) -> Setup:
        values = {name: value for name, value in {**self.before.values, **self.changes}.items() if value}
        return Setup(values, self.before.folder, source=self.before.source)

    def set(self, name: str, value: str) -> None:
        """Nothing changes if the default is answered for a setting that is not set."""
        if value != self.setup.chosen(name):
            self.changes[name] = value

    def emulate(self, vendor: str) -> None:
        if not self.before.is_emulated(vendor):
            self.changes[VENDORS[vendor].key] = ""

    def problem(self, question: Question, value: str) -> str:
        """Why the answer cannot be taken; "": it can."""
        if question.is_required and not value:
            return "An answer is needed."
        if question.choices and value not in question.choices:
            return f"Answer {' or '.join(question.choices)}."
        try:
            quoted(value)
        except ValueError as wrong:
            return f"It {wrong}."
        trial = Draft(self.before, self._file)
        trial.changes = {**self.changes, question.setting: value}
        lines = trial.setup.problems(kernel={}, gateway={})
        refused = next((line for line in lines if line.startswith(f"{question.setting} ")), "")
        return f"It {refused.removeprefix(question.setting).strip()}." if refused else ""

    def check(self, *names: str) -> list[Report]:
        """The reports of these checks on the draft; none if no vendor is to be asked."""
        return asyncio.run(run_all(named(*names), self.setup)) if names and self.checks else []

    def create_secrets(self) -> list[str]:
        """Create those that are missing; their names. Keys of earlier local runs go into the file as they are."""
        missing = missing_secrets(self.setup.values, is_whatsapp_real=not self.setup.is_emulated("WhatsApp"))
        self.changes |= missing
        return sorted(missing)

    def to_write(self) -> dict[str, str]:
        """The changes, the keys of earlier local runs, which `make up` needs in the file, and each X_FILE to unset."""
        file = read_file(self._file)
        held = {name for name in CREATED if file.get(name) or file.get(file_setting(name))}
        kept = {name: value for name in CREATED if name not in held and (value := self.setup.values.get(name))}
        unset = {file_setting(name): "" for name in self.changes if file.get(file_setting(name))}
        return kept | self.changes | unset
