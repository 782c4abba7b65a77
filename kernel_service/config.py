"""The kernel service's settings, from the environment. Errors name a setting and never show its value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel_service.settings.accounts import Accounts
from kernel_service.settings.assistant import Assistant
from kernel_service.settings.budgets import Budgets
from kernel_service.settings.channels import Channels
from kernel_service.settings.concern import words
from kernel_service.settings.database import Database
from kernel_service.settings.model import Model
from kernel_service.settings.people import People
from kernel_service.settings.process import Process
from kernel_service.settings.unprompted import Unprompted
from serving.setting_problems import what_to_do

if TYPE_CHECKING:
    from pydantic import ValidationError


class Settings(Model, Accounts, Channels, Database, Assistant, People, Budgets, Unprompted, Process):
    """All concerns, in the order of the reference."""

    def is_unlimited(self) -> bool:
        """Whether every user id may write, without a budget."""
        budgets = self.kernel_daily_tokens or self.kernel_daily_tokens_per_user
        return not words(self.kernel_allowed_users) and not budgets


def problems(error: ValidationError) -> list[str]:
    """One line per wrong setting: its name in the environment and what to do, without its value."""
    lines = []
    for each in error.errors(include_input=False, include_url=False):
        name = ".".join(str(part) for part in each["loc"]).upper()
        lines.append(f"{name} {what_to_do(each)}".strip())
    return lines
