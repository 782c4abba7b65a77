"""The tutorial's settings in both services, and its webhook at a running gateway. Meta is not reached."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from kernel_service.config import Settings as KernelSettings
from local_run.__main__ import _greeting
from local_run.plan import plan
from tests.documents.operator import told
from tests.documents.page import Page
from tests.documents.programs import path_with
from tests.documents.shell import printed
from tests.documents.words import assert_shown
from tests.integration.test_doctor import write_env
from tests.integration.world import whole_world
from whatsapp_gateway.config import Settings as GatewaySettings


async def test_the_tutorial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Page("docs/tutorial/whatsapp-number.md") as page:
        tunnels = [page.take("sh"), page.take("sh")]
        (tmp_path / ".env").write_text(page.take("ini"))
        run = plan(tmp_path, {"PATH": os.environ["PATH"]})
        assert run.emulated == ()
        kernel, gateway = (service.environment for service in run.services)
        KernelSettings.model_validate(settings_in(kernel))
        verify_token = GatewaySettings.model_validate(settings_in(gateway)).whatsapp_verify_token
        for command, setting in zip(tunnels, ("GATEWAY_LISTEN", "CONNECT_LISTEN"), strict=True):
            shell = {"PATH": path_with(tmp_path / "bin", cloudflared='echo "$3"')}
            assert printed(command, tmp_path, shell).strip() == f"http://{run.listens[setting]}"
        assert page.take("sh") == "make run\n"  # the first tutorial's test runs it
        assert_shown(page.take("text"), _greeting(run))
        asking = page.take("sh")
        async with whole_world(tmp_path) as world:
            own = world.emulators.config.whatsapp_verify_token
            asking = asking.replace("https://hook.trycloudflare.com/webhook", world.webhook_url)
            asking = asking.replace(verify_token.get_secret_value(), own)
            assert_shown(page.take("text"), await asyncio.to_thread(printed, asking, tmp_path))
            write_env(world, tmp_path)
            *_, counted = (await told(world, page.take("sh"))).splitlines()
            assert " ok" in counted
            assert " error" not in counted


def settings_in(environment: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in environment.items() if name != "PATH"}
