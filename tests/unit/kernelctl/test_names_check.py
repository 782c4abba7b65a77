from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kernelctl.checks.results import Status

if TYPE_CHECKING:
    from tests.unit.kernelctl.vendors import Vendors

EXAMPLE = Path(__file__).parents[3] / ".env.example"


async def findings(vendors: Vendors, text: str) -> list[tuple[str, str]]:
    file = vendors.folder / ".env"
    file.write_text(text)
    results = await vendors.check("settings.names", file=file)
    return [(result.text, result.fix) for result in results if result.status is Status.WARNING]


@pytest.mark.parametrize(
    ("name", "meant"),
    [("KERNEL_TOLS", "KERNEL_TOOLS"), ("WHATSAPP_ACESS_TOKEN", "WHATSAPP_ACCESS_TOKEN"), ("LOG_LEVL", "LOG_LEVEL")],
)
async def test_a_misspelt_setting_is_found(real: Vendors, name: str, meant: str) -> None:
    assert await findings(real, f"{name}=x\n") == [
        (f"{name} is the name of no setting", f"Write {meant}, if you mean that.")
    ]


async def test_a_name_like_no_other_leads_to_the_list(real: Vendors) -> None:
    [(_, fix)] = await findings(real, "OPENAI_ZZZZZZZZZZZZZZZZZZZZZZZZ=x\n")
    assert "docs/reference/settings.md" in fix


async def test_each_name_of_the_example_and_others_own_names_are_none(real: Vendors) -> None:
    names = re.findall(r"^#? ?([A-Z][A-Z0-9_]+)=", EXAMPLE.read_text(), re.MULTILINE)
    assert len(names) > 80
    assert await findings(real, "".join(f"{name}=x\n" for name in [*names, "KERNEL_TOKEN_FILE", "MY_BOT"])) == []


async def test_an_exported_setting_that_is_misspelt_is_found_and_others_names_are_not(real: Vendors) -> None:
    real.values |= {"KERNEL_TOLS": "x", "KERNEL_GATEWAY_USER": "jupyter"}
    found = await real.finding("settings.names")
    assert "KERNEL_TOLS is the name of no setting" in found.text
    del real.values["KERNEL_TOLS"]
    [skipped] = await real.check("settings.names")
    assert skipped.status is Status.SKIPPED
