"""Servers that answer anything: each check still has a result, and none breaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

if TYPE_CHECKING:
    from tests.unit.kernelctl.vendors import Vendors

BODIES = [
    *("[]", "null", "{}", "<html>", '{"error": "x"}', '{"error": {"code": "x"}}', '{"data": [null]}', "9" * 5000),
    '{"data": {"is_valid": true, "scopes": "x", "granular_scopes": [1], "expires_at": "soon", "app_id": 5}}',
    '{"data": {"is_valid": true, "scopes": [1]}, "items": {"a": 1}, "health_status": {"entities": 5}}',
    '{"items": [1], "data": "x", "status": 5, "health_status": 5, "webhook_configuration": []}',
]


@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
async def test_no_answer_breaks_a_check(real: Vendors, body: str, status: int) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, text=body, content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server:
        url = str(server.make_url("/")).rstrip("/")
        names = ("WHATSAPP_API_BASE_URL", "OPENAI_BASE_URL", "COMPOSIO_BASE_URL", "CONNECT_PUBLIC_URL")
        real.values |= dict.fromkeys(names, url)
        real.values |= {"OPENAI_SPEECH_MODEL": "tts", "GATEWAY_LISTEN": url.removeprefix("http://")}
        results = await real.check("whatsapp", "model", "composio", "public", "gateway", "machine.clock")
    assert [each.text for each in results if "the check itself" in each.text] == []
