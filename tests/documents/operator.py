"""The operator of a world, who types the commands of a page."""

import asyncio
import shlex
from collections.abc import Mapping
from io import StringIO

from click.testing import CliRunner
from dotenv import dotenv_values

from kernelctl.kernelctl import main
from tests.integration.world import ADMIN_TOKEN, World

WHO = "whatsapp:15550004711"
"""The person of the pages."""


async def told(world: World, command: str, instead: Mapping[str, str] | None = None) -> str:
    """The output of a `kernelctl` command, without its progress.

    `instead` maps ids of the page to those of this world.
    """
    program, *words = shlex.split(command)
    assert program in {"kernelctl", ".venv/bin/kernelctl"}
    environment = {"KERNEL_ADDRESS": world.kernel_address, "KERNEL_ADMIN_TOKEN": ADMIN_TOKEN}
    words = [(instead or {}).get(word, word) for word in words]
    printed = await asyncio.to_thread(CliRunner().invoke, main, words, env=environment)
    return printed.stdout or printed.stderr


def settings(block: str) -> dict[str, str]:
    """The lines of an `.env` file as a world's settings."""
    return {name.lower(): value or "" for name, value in dotenv_values(stream=StringIO(block)).items()}
