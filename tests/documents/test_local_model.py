"""The tutorial with an emulated server of Chat Completions. Its installation is recorded: it takes minutes."""

import os
import re
import shlex
from pathlib import Path

from emulators.openai.turns import Incomplete
from kernel_service.config import Settings
from local_run.__main__ import _greeting
from local_run.plan import plan
from tests.documents.operator import settings
from tests.documents.page import Page
from tests.documents.programs import path_with
from tests.documents.shell import printed
from tests.documents.words import assert_shown
from tests.integration.world import whole_world

RECORDING = """#!/bin/sh
echo "$@" >> told
case "$*" in *assemble*) echo gemma.gguf ;; esac
"""
VENV = (
    f"mkdir -p $3/bin; cat > $3/bin/python <<'END'\n{RECORDING}END\nchmod +x $3/bin/python; cp $3/bin/python $3/bin/pip"
)


async def test_the_tutorial(tmp_path: Path) -> None:
    shell = {**os.environ, "PATH": path_with(tmp_path / "bin", python3=VENV)}
    with Page("docs/tutorial/local-model.md") as page:
        printed(page.take("sh"), tmp_path, shell)
        assembled = printed(page.take("sh"), tmp_path, shell)
        assert_shown(page.take("text"), assembled)
        printed(page.take("sh"), tmp_path, shell)
        started = shlex.split((tmp_path / "told").read_text().splitlines()[-1])
        named = page.take("ini")
        model = settings(named)
        assert f":{started[started.index('--port') + 1]}/" in model["openai_base_url"]
        assert started[started.index("--model_alias") + 1] == model["openai_model"]
        (tmp_path / ".env").write_text(named)
        run = plan(tmp_path, {"PATH": os.environ["PATH"]})
        assert [vendor.name for vendor in run.emulated] == ["Composio", "WhatsApp"]
        assert page.take("sh") == "make run\n"  # the first tutorial's test runs it
        assert_shown(page.take("text"), _greeting(run))
        await answers(tmp_path, model, page.take("text"))


async def test_another_server(tmp_path: Path) -> None:
    with Page("docs/how-to/model-server.md") as page:
        model, voice = settings(page.take("ini")), settings(page.take("ini"))
    assert "openai_transcribe_base_url" in voice
    await answers(tmp_path, model | voice)


async def answers(folder: Path, model: dict[str, str], cut_short: str = "") -> None:
    """A person is answered by an emulated server instead of the page's."""
    async with whole_world(folder) as world:
        here = {name: world.settings[name] for name in ("openai_base_url", "openai_api_key")}
        here["openai_model"] = Settings.model_fields["openai_model"].default  # the emulator knows OpenAI's alone
        await world.stop_kernel()
        world.settings |= model | here
        await world.start_kernel()
        alice = world.phone("Alice")
        assert "good news" in (await world.ask(alice, "good news")).text
        assert world.emulators.openai.requests[-1].path.endswith("/chat/completions")
        if cut_short:
            world.emulators.openai.script([[Incomplete("Welcome to the chat!")]])
            assert re.search(re.escape(cut_short.strip()), (await world.ask(alice, "more news")).text)
