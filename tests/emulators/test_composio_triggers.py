"""The emulated triggers: as strict with requests as Composio, and as unkind with events."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from composio_client import APIStatusError, AsyncComposio

from emulators.app import Emulators
from emulators.composio.accounts import Account
from emulators.composio.trigger_types import fits_query
from tests.ports import free_port

SLUG = "GMAIL_NEW_GMAIL_MESSAGE"
BANK: dict[str, object | None] = {"query": "from:bank"}


class Webhook:
    """The project's webhook. `statuses` are its next answers; then 200."""

    def __init__(self) -> None:
        self.port = free_port()
        self.received: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.statuses: list[int] = []

    async def take(self, request: web.Request) -> web.Response:
        self.received.append((dict(request.headers), await request.json()))
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200)


@pytest.fixture
async def webhook(emulators: Emulators) -> AsyncIterator[Webhook]:
    webhook = Webhook()
    app = web.Application()
    app.router.add_post("/events", webhook.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", webhook.port).start()
    events = emulators.composio.events
    events.url, events.backoff = f"http://127.0.0.1:{webhook.port}/events", lambda _: 0.0
    yield webhook
    await runner.cleanup()


async def connected(emulators: Emulators, composio: AsyncComposio, toolkit: str = "gmail") -> Account:
    session = await composio.tool_router.session.create(user_id="u_1")
    link = await composio.tool_router.session.link(session.session_id, toolkit=toolkit)
    emulators.composio.approve(link.redirect_url)
    return emulators.composio.accounts_of("u_1")[-1]


async def upsert(
    composio: AsyncComposio, account: str, config: dict[str, object | None] = BANK, slug: str = SLUG
) -> str:
    made = await composio.trigger_instances.upsert(slug, connected_account_id=account, body_trigger_config_1=config)
    return made.trigger_id


async def test_the_vendors_client_lists_creates_and_deletes(emulators: Emulators, composio: AsyncComposio) -> None:
    account = await connected(emulators, composio)
    listed = await composio.triggers_types.list(toolkit_slugs=["gmail"])
    assert [(each.slug, each.type) for each in listed.items] == [(SLUG, "poll")]
    assert not (await composio.triggers_types.list(toolkit_slugs=["asana"])).items
    trigger = await upsert(composio, account.id)
    assert await upsert(composio, account.id, slug=SLUG.lower()) == trigger, "the same settings are the same trigger"
    assert await upsert(composio, account.id, {}) != trigger
    active = await composio.trigger_instances.list_active(query_connected_account_ids_1=[account.id])
    assert [each.user_id for each in active.items] == ["u_1", "u_1"]
    await composio.trigger_instances.manage.delete(trigger)
    with pytest.raises(APIStatusError) as gone:
        await composio.trigger_instances.manage.delete(trigger)
    assert gone.value.status_code == 404


async def test_bad_requests(emulators: Emulators, composio: AsyncComposio) -> None:
    ended = await connected(emulators, composio)
    emulators.composio.expire(ended.id)
    gmail, asana = [(await connected(emulators, composio, name)).id for name in ("gmail", "asana")]
    key = {"x-api-key": emulators.config.composio_api_key}
    wrong: list[tuple[str, str, dict[str, Any], int]] = [
        ("GMAIL_NOTHING", gmail, {}, 404),
        (SLUG, "ca_nobody", {}, 404),
        (SLUG, asana, {}, 400),
        (SLUG, ended.id, {}, 400),
        (SLUG, gmail, {"trigger_config": {"search": "bank"}}, 400),
        (SLUG, gmail, {"trigger_config": {"interval": 1}}, 400),
        (SLUG, gmail, {"trigger_config": {"query": 7}}, 400),
        (SLUG, gmail, {"trigger_config": []}, 400),
        (SLUG, gmail, {"user_id": "u_2"}, 403),
        (SLUG, "", {}, 400),
    ]
    async with aiohttp.ClientSession(headers=key) as session:
        for slug, account, body, status in wrong:
            url = f"{emulators.composio.base_url}/api/v3.1/trigger_instances/{slug}/upsert"
            async with session.post(url, json={"connected_account_id": account, **body}) as answer:
                assert answer.status == status, (slug, body)
    assert not emulators.composio.triggers


async def test_a_mail_is_told_signed_and_again_until_it_is_taken(
    emulators: Emulators, composio: AsyncComposio, webhook: Webhook
) -> None:
    account = await connected(emulators, composio)
    trigger = await upsert(composio, account.id)
    webhook.statuses = [503, 401]
    deliveries = emulators.composio.arrives("u_1", "service@bank.example", "Hello", "Call us")
    assert await asyncio.gather(*deliveries) == [200]
    assert not emulators.composio.arrives("u_1", "ada@friends.example", "Hello", "Call us")
    assert not emulators.composio.arrives("u_2", "service@bank.example", "Hello", "Call us")
    headers = [each for each, _ in webhook.received]
    [event] = {str(each): each for _, each in webhook.received}.values()
    assert {each["webhook-id"] for each in headers} == {event["id"]}
    assert [each["x-composio-delivery-attempt"] for each in headers] == ["1", "2", "3"]
    assert event["metadata"]["trigger_id"] == trigger
    assert event["metadata"]["user_id"] == "u_1"
    assert event["data"]["subject"] == "Hello"


async def test_other_processes_let_mails_arrive(
    emulators: Emulators, composio: AsyncComposio, webhook: Webhook
) -> None:
    account = await connected(emulators, composio)
    await upsert(composio, account.id, {})
    mail = {"account": account.id, "sender": "ada@friends.example", "subject": "Hi", "body": "Hello"}
    control = f"{emulators.url}/control/composio"
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{control}/accounts", json={}) as answer:
            assert (await answer.json())["accounts"] == [
                {"id": account.id, "user_id": "u_1", "toolkit": "gmail", "status": "ACTIVE"}
            ]
        async with session.post(f"{control}/mail", json=mail) as answer:
            assert await answer.json() == {"events": 1}
        async with session.post(f"{control}/mail", json={**mail, "account": "ca_nobody"}) as answer:
            assert answer.status == 400
    await emulators.effects.wait_for(lambda effect: effect.kind == "event_delivered")
    assert len(webhook.received) == 1


@pytest.mark.parametrize(
    ("query", "fits"),
    [
        ("", True),
        ("from:bank", True),
        ("from:ada", False),
        ("-from:ada", True),
        ('subject:"your account"', True),
        ("from:ada OR from:bank", True),
        ("is:unread invoice", False),
        ("in:inbox account", True),
        ('"unfinished', False),
    ],
)
def test_searches(query: str, fits: bool) -> None:
    mail = {"sender": "service@bank.example", "to": "me", "subject": "Your account", "message_text": "Call"}
    assert fits_query({"query": query}, mail) is fits
