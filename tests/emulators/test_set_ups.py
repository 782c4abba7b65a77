"""The reads of an operator's settings, by each vendor's own client where it has one."""

import hashlib
import hmac
from typing import Any

import aiohttp
import pytest
from composio_client import AsyncComposio, PermissionDeniedError
from openai import AsyncOpenAI, NotFoundError

from emulators.app import Emulators
from emulators.composio.project import AuthConfig
from emulators.whatsapp.account import APP_ID, WABA_ID

TOKEN, SECRET, NUMBER = "emulated-access-token", "emulated-app-secret", "106540352242922"
APP = f"{APP_ID}|{SECRET}"


async def graph(emulators: Emulators, path: str, token: str = TOKEN, **query: str) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {token}"}
    url = f"{emulators.url}/graph/v26.0/{path}"
    async with aiohttp.ClientSession(headers=headers) as session, session.get(url, params=query) as answer:
        return answer.status, await answer.json()


async def test_a_number_has_the_fields_that_are_named(emulators: Emulators) -> None:
    assert await graph(emulators, NUMBER, fields="status") == (200, {"status": "CONNECTED", "id": NUMBER})
    assert set((await graph(emulators, NUMBER))[1]) >= {"verified_name", "quality_rating"}


@pytest.mark.parametrize(
    ("path", "token", "query", "code"),
    [
        (NUMBER, TOKEN, {"fields": "colour"}, 100),
        ("1", TOKEN, {}, 100),
        (NUMBER, "other", {}, 190),
        (f"{APP_ID}/subscriptions", TOKEN, {}, 15),
        (f"{APP_ID}/subscriptions", f"{APP_ID}|other", {}, 190),
        ("1/subscribed_apps", TOKEN, {}, 100),
        ("debug_token", TOKEN, {}, 100),
        ("debug_token", TOKEN, {"input_token": TOKEN, "appsecret_proof": "0" * 64}, 100),
    ],
)
async def test_refusals(emulators: Emulators, path: str, token: str, query: dict[str, str], code: int) -> None:
    status, answer = await graph(emulators, path, token, **query)
    assert status >= 400
    assert answer["error"]["code"] == code


async def test_a_proof_of_the_app_secret_is_accepted(emulators: Emulators) -> None:
    proof = hmac.new(SECRET.encode(), TOKEN.encode(), hashlib.sha256).hexdigest()
    status, answer = await graph(emulators, "debug_token", input_token=TOKEN, appsecret_proof=proof)
    assert (status, answer["data"]["is_valid"], answer["data"]["app_id"]) == (200, True, APP_ID)


async def test_an_invalid_token_is_described_to_the_app(emulators: Emulators) -> None:
    _, answer = await graph(emulators, "debug_token", APP, input_token="other")
    assert (answer["data"]["is_valid"], answer["data"]["error"]["code"]) == (False, 190)


async def test_subscriptions_and_templates_are_listed(emulators: Emulators) -> None:
    _, answer = await graph(emulators, f"{APP_ID}/subscriptions", APP)
    assert {"name": "messages", "version": "v26.0"} in answer["data"][0]["fields"]
    _, answer = await graph(emulators, f"{WABA_ID}/subscribed_apps")
    assert answer["data"][0]["whatsapp_business_api_data"]["id"] == APP_ID
    _, answer = await graph(emulators, f"{WABA_ID}/message_templates", name="remind")
    assert [each["components"][1]["buttons"][0]["type"] for each in answer["data"]] == ["QUICK_REPLY"]


async def test_without_the_management_permission_nothing_of_the_account_is_read(emulators: Emulators) -> None:
    emulators.whatsapp.account.scopes = ["whatsapp_business_messaging"]
    assert (await graph(emulators, NUMBER, fields="status"))[0] == 200
    for edge in ("subscribed_apps", "message_templates"):
        assert (await graph(emulators, f"{WABA_ID}/{edge}"))[1]["error"]["code"] == 200


async def test_models_are_listed_and_withdrawn(emulators: Emulators, client: AsyncOpenAI) -> None:
    assert (await client.models.retrieve("gpt-6.2-sol")).id in [model.id async for model in client.models.list()]
    emulators.openai.withdraw("gpt-6.2-sol")
    with pytest.raises(NotFoundError, match="does not exist or you do not have access"):
        await client.models.retrieve("gpt-6.2-sol")
    with pytest.raises(NotFoundError):
        await client.responses.create(model="gpt-6.2-sol", input="hello")


async def test_a_project_is_read(emulators: Emulators, composio: AsyncComposio) -> None:
    project = emulators.composio.project
    project.auth_configs = [AuthConfig("ac_1", "own"), AuthConfig("ac_2", "own", "DISABLED")]
    assert [each.id for each in (await composio.auth_configs.list(toolkit_slug="own")).items] == ["ac_1"]
    [webhook] = (await composio.webhook_subscriptions.list()).items
    assert webhook.secret == emulators.config.composio_webhook_secret
    project.forbidden = ("/webhook_subscriptions",)
    with pytest.raises(PermissionDeniedError):
        await composio.webhook_subscriptions.list()
