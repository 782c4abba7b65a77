"""The containers of a bot's own repository get every setting that its .env may have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from kernelctl.init.questions import GROUPS

ROOT = Path(__file__).parents[3]
NOT_OF_SQLITE = {"KERNEL_DATABASE_DIRECT_URL", "KERNEL_DATABASE_POOL"}
OF_THE_DEMO = {"KERNEL_EMULATED_CLOCK"}


def settings(file: str, service: str) -> dict[str, Any]:
    environment: dict[str, Any] = yaml.safe_load((ROOT / file).read_text())["services"][service]["environment"]
    return environment


@pytest.mark.parametrize("service", ["kernel_service", "whatsapp_gateway"])
def test_a_setting_reaches_the_containers_of_a_bot_as_it_does_those_of_the_project(service: str) -> None:
    passed_on = {name for name, value in settings("docker-compose.yml", service).items() if value is None}
    own = settings("templates/bot/compose.yaml", service).keys()
    assert passed_on - own == (NOT_OF_SQLITE | OF_THE_DEMO if service == "kernel_service" else set())


def test_each_answer_of_init_reaches_the_containers_of_a_bot() -> None:
    reached = {
        name for each in ("kernel_service", "whatsapp_gateway") for name in settings("templates/bot/compose.yaml", each)
    }
    assert {question.setting for group in GROUPS for question in group.questions} <= reached
