from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from local_run.setting_names import unknown_names

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
async def test_misspelt_settings_are_named_without_their_values(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("WHATSAPP_ACESS_TOKEN=EAAG-hidden\nMY_BOT=x\nLOG_LEVEL=info\n")
    [in_file, exported] = await unknown_names(tmp_path, os.environ | {"KERNEL_TOLS": "hidden"})
    assert in_file.startswith("WHATSAPP_ACESS_TOKEN is the name of no setting: it has no effect. Write WHATSAPP_ACCESS")
    assert exported.startswith("KERNEL_TOLS is the name of no setting: it has no effect. Write KERNEL_TOOLS")
    assert "hidden" not in f"{in_file}{exported}"


@pytest.mark.slow
@pytest.mark.parametrize("content", ["LOG_LEVEL=info\n", "", b"\xff\xfe"])
async def test_right_names_and_a_file_that_cannot_be_read_name_nothing(tmp_path: Path, content: str | bytes) -> None:
    (tmp_path / ".env").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert await unknown_names(tmp_path, os.environ) == []


async def test_without_any_setting_no_program_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "none"))
    assert await unknown_names(tmp_path, {"PATH": ""}) == []
