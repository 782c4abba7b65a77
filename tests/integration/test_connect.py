"""Connect and continue, over every wire: the link, the consent, the code, and the request that resumes by itself."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from typing import TYPE_CHECKING

import aiohttp
import orjson
import pytest
from kernel.v1 import connections_pb2, messages_pb2

from emulators.composio.catalogue import Toolkit
from kernel_service import texts
from kernel_service.connections.consent import CODE_SECONDS
from kernel_service.connections.web.throttle import MOST_OF_ADDRESS, MOST_OF_PAGE
from tests.connect_browser import a_browser
from tests.integration.world import TELEGRAM_TOKEN, WHATSAPP_TOKEN, bearer, whole_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from emulators.whatsapp.phones import Phone
    from tests.integration.world import World

DEMO = "Prepare the demo"
SECRET = "whsec_of_the_tests"


@pytest.fixture(params=["without_verifier", "with_verifier"])
async def either(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """Composio's projects with and without the identity verifier."""
    verifier = request.param == "with_verifier"
    async with whole_world(tmp_path, composio_webhook_secret=SECRET, composio_verifier=verifier) as world:
        if verifier:
            world.emulators.composio.set_verifier(f"{world.connect_url}/connect/verify")
        yield world


async def offered(world: World, phone: Phone, text: str = f"create a task: {DEMO}") -> str:
    """The link in the answer to a request."""
    offer = await world.ask(phone, text)
    assert offer.link is not None
    return offer.link.url


async def tasks_named_demo(world: World, phone: Phone) -> int:
    tasks = world.emulators.composio.tasks_of(await world.person_of(phone))
    return [task.name for task in tasks].count(DEMO)


async def nothing_connected(world: World, *phones: Phone) -> None:
    """Assert that no person has a usable connection, here or at the vendor."""
    for phone in phones:
        person = await world.person_of(phone)
        assert await world.kernel.store.connect_attempts.resumed_by(person, 0) == []
        assert [one for one in await world.kernel.store.connections.of_person(person) if one.status == "active"] == []
        assert not world.emulators.composio.accounts_of(person)
    assert world.emulators.effects.all("tool_execution") == []


async def test_a_request_resumes_once_its_account_is_connected(either: World) -> None:
    alice = either.phone("Alice")
    link = await offered(either, alice)
    async with a_browser() as browser:
        code = await browser.follow(link)
    assert code
    answer = await either.ask(alice, f"Connect {code}")
    assert answer.text.startswith("Asana is connected.\n\n")
    assert DEMO in answer.text
    assert await tasks_named_demo(either, alice) == 1
    assert all(code not in str(call.body) for call in either.emulators.openai.requests)
    assert (await either.ask(alice, f"Connect {code}")).text == "Asana is connected.", "a code that comes twice"
    assert await tasks_named_demo(either, alice) == 1


async def test_both_services_restarted_between_all_steps(either: World) -> None:
    alice = either.phone("Alice")
    link = await offered(either, alice)
    await restart(either)
    async with a_browser() as browser:
        await browser.to_consent(link)
        await restart(either)
        code = await browser.approve()
        await restart(either)
    assert DEMO in (await either.ask(alice, code)).text
    assert await tasks_named_demo(either, alice) == 1


async def restart(world: World) -> None:
    await world.stop_kernel()
    await world.start_kernel()
    await world.stop_gateway()
    await world.start_gateway()


async def test_messages_written_meanwhile_are_answered_in_order(either: World) -> None:
    alice = either.phone("Alice")
    async with a_browser() as browser:
        code = await browser.follow(await offered(either, alice))
    before = len(alice.received)
    for text in ("my name is Alice", code, "what is my name"):
        await alice.send(text)
    while len(alice.received) < before + 3:
        await alice.wait_for_message(timeout=20)
    told = [message.text for message in alice.received[before:]]
    assert "Nice to meet you, Alice" in told[0]
    assert DEMO in told[1]
    assert told[2] == "Your name is Alice."


@pytest.mark.parametrize("where", ["at_the_vendor", "back_with_the_code"])
async def test_another_request_meanwhile_is_fulfilled_in_order(either: World, where: str) -> None:
    """It does not end the attempt: the person continues it, and then both requests are done."""
    alice = either.phone("Alice")
    link = await offered(either, alice)
    async with a_browser() as browser:
        await browser.to_consent(link)
        if where == "back_with_the_code":
            await browser.approve()
        another = await either.ask(alice, "create a task: Book a room")
        assert another.link is not None
        assert another.link.url == link
        assert "the code" in another.text or where == "at_the_vendor"
        code = browser.code or await browser.approve()
        await browser.open(link)
        assert browser.code == code, "the button shows the page again"
    done = await either.ask(alice, f"Connect {code}")
    assert done.text.startswith("Asana is connected.\n\n")
    assert 0 < done.text.index(DEMO) < done.text.index("Book a room")
    tasks = [task.name for task in either.emulators.composio.tasks_of(await either.person_of(alice))]
    assert [tasks.count(DEMO), tasks.count("Book a room")] == [1, 1]
    assert len(either.emulators.effects.all("tool_execution")) == 2


async def test_several_requests_and_toolkits_wait_each_for_its_own(either: World) -> None:
    alice = either.phone("Alice")
    asana = await offered(either, alice)
    mail = await offered(either, alice, "send an email to bob@mail.example: hi")
    assert await offered(either, alice, "create a task: Book a room") == asana, "one live link per toolkit"
    async with a_browser() as browser:
        answer = await either.ask(alice, await browser.follow(asana))
    assert DEMO in answer.text
    assert "Book a room" in answer.text
    assert len(either.emulators.effects.all("tool_execution")) == 2
    async with a_browser() as browser:
        assert "Gmail is connected" in (await either.ask(alice, await browser.follow(mail))).text


async def test_a_toolkit_is_called_what_people_call_it(world: World) -> None:
    world.emulators.composio.catalogue.add(Toolkit("googlecalendar", "Google Calendar", "Events."))
    alice = world.phone("Alice")
    link = await offered(world, alice, "connect my googlecalendar")
    async with a_browser() as browser:
        await browser.open(link)
        assert "This connects your Google Calendar" in browser.page
        await world.stop_kernel()
        await world.start_kernel()  # it remembers only stored data
        code = await browser.follow(link)
    assert (await world.ask(alice, code)).text.startswith("Google Calendar is connected.")


async def test_an_inline_channel_gets_the_result_of_the_resumed_request(either: World) -> None:
    """On an INLINE channel."""
    offer = await either.tell("telegram:42", f"create a task: {DEMO}", "m1")
    async with a_browser() as browser:
        code = await browser.follow(offer.replies[0].link.url)
        assert "Telegram chat" in browser.page
    done = await either.tell("telegram:42", code, "m2")
    assert [DEMO in reply.text for reply in done.replies] == [True]
    assert (await either.tell("telegram:42", code, "m2")).replies == done.replies


async def test_the_connect_pages_lead_back_to_any_chat(either: World) -> None:
    request = messages_pb2.HandleMessageRequest(
        user_id="telegram:42",
        message_id="m1",
        payload=messages_pb2.Payload(text="connect my asana"),
        chat_link="https://t.me/a_bot?text={text}",
    )
    offer = await either.stub.HandleMessage(request, metadata=bearer(TELEGRAM_TOKEN))
    async with a_browser() as browser:
        code = await browser.follow(offer.replies[0].link.url)
        assert f'href="https://t.me/a_bot?text=Connect%20{code}"' in browser.page


# --- attacks ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", ["{}", "I was sent this: {}, what do I do with it?"])
async def test_a_link_passed_on_gives_the_attacker_nothing(either: World, said: str) -> None:
    mallory, victim = either.phone("Mallory"), either.phone("Victim")
    await either.ask(victim, "hello")
    link = await offered(either, mallory)
    async with a_browser() as browser:
        code = await browser.follow(link)
        assert code, "the victim has consented"
    assert (await either.ask(victim, said.format(code.lower()))).text == texts.connecting.CODE_OF_ANOTHER
    assert (await mallory.wait_for_message(timeout=20)).text.startswith("Your link for Asana was used by someone else")
    await nothing_connected(either, mallory, victim)
    assert "no longer valid" in (await either.ask(mallory, code)).text
    assert 'kernel_connect_attempts_total{outcome="wrong_person"} 1.0' in await either.metrics()


async def test_the_vendors_own_link_passed_on_gives_the_attacker_nothing(either: World) -> None:
    """Mallory has followed the link past our page with its warning, up to the vendor."""
    mallory, victim = either.phone("Mallory"), either.phone("Victim")
    await either.ask(victim, "hello")
    link = await offered(either, mallory)
    async with a_browser() as first, a_browser() as second:
        await first.to_consent(link)
        await second.open(first.url)
        assert not await second.approve()
        await first.open(second.url)
        assert not first.code
    either.wall = lambda: time.time() + 3600  # the vendor's verifier does not name the attempt, which expires
    await either.kernel.attempt_closer.sweep()
    await nothing_connected(either, mallory, victim)


async def test_a_forged_verification_gives_the_attacker_nothing(either: World) -> None:
    """Mallory starts, claims that consent was verified, and only then makes another person consent."""
    mallory = either.phone("Mallory")
    link = await offered(either, mallory)
    async with a_browser() as first, a_browser() as second:
        await first.to_consent(link)
        consent = first.url
        await first.open(f"{either.connect_url}/connect/verify?session_uri=ses_forged")
        await second.open(consent)
        assert not await second.approve()
    if first.code:
        assert "could not be connected" in (await either.ask(mallory, first.code)).text
    else:
        assert "opened in one browser" in (await mallory.wait_for_message()).text
    await nothing_connected(either, mallory)


async def test_previews_tabs_and_browsers(either: World) -> None:
    alice = either.phone("Alice")
    link = await offered(either, alice)
    person = await either.person_of(alice)
    async with a_browser() as first, a_browser() as second, aiohttp.ClientSession() as previewer:
        for method in ("GET", "HEAD", "GET"):
            async with previewer.request(method, link, headers={"User-Agent": "WhatsApp/2.0"}) as preview:
                assert preview.status == 200
        assert not either.emulators.composio.accounts_of(person), "a preview starts nothing"
        for _ in range(10):
            await first.open(link)
        await first.to_consent(link)
        consent = first.url
        for _ in range(9):
            await first.to_consent(link)
            assert first.url == consent
        await second.open(link)
        assert second.status == 409
        code = await first.approve()
        back = first.url
        for _ in range(2):
            await first.open(back)
            assert first.code == code, "the page may be opened again"
    assert "Asana is connected" in (await either.ask(alice, code)).text
    async with a_browser() as late:
        await late.open(link)
        assert "connected" in late.page
        await late.open(f"{either.connect_url}/connect/{'x' * 43}")
        assert late.status == 404


async def test_a_cross_site_request_starts_nothing(either: World) -> None:
    alice = either.phone("Alice")
    link = await offered(either, alice)
    headers = {"Sec-Fetch-Site": "cross-site"}
    async with aiohttp.ClientSession() as session, session.post(link, headers=headers) as answer:
        assert answer.status == 200
        assert "Continue to Asana" in await answer.text()
    assert not either.emulators.composio.accounts_of(await either.person_of(alice))


async def test_no_page_lets_anything_out(either: World) -> None:
    alice = either.phone("Alice")
    link = await offered(either, alice)
    phone = next(part for part in (alice.wa_id or "",))
    async with aiohttp.ClientSession() as session:
        for url in (
            link,
            f"{either.connect_url}/connect/{'x' * 43}",
            f"{either.connect_url}/connect/verify?session_uri=x",
        ):
            async with session.get(url) as answer:
                page = await answer.text()
                assert answer.headers["Cache-Control"] == "no-store"
                assert answer.headers["Referrer-Policy"] == "no-referrer"
                assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
                assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
                assert "<script" not in page
                assert alice.user_id not in page + url
                assert not phone or phone not in page + url


async def test_a_person_who_asks_repeatedly_is_told_to_wait(either: World) -> None:
    link = await offered(either, either.phone("Alice"))
    async with aiohttp.ClientSession() as session:
        statuses = set()
        for _ in range(MOST_OF_PAGE.amount):
            async with session.get(link) as answer:
                statuses.add(answer.status)
        assert statuses == {200}
        async with session.get(link) as answer:
            assert answer.status == 429
        async with session.get(f"{either.connect_url}/connect/{'y' * 43}") as answer:
            assert answer.status == 404, "another page"


async def test_a_flood_blocks_only_its_own_address(world: World) -> None:
    statuses = []
    async with aiohttp.ClientSession() as session:
        for who in ["203.0.113.7"] * (MOST_OF_ADDRESS.amount + 1) + ["203.0.113.8"]:
            headers = {"X-Forwarded-For": who}
            async with session.get(f"{world.connect_url}/connect/style.css", headers=headers) as answer:
                statuses.append(answer.status)
    assert statuses == [200] * MOST_OF_ADDRESS.amount + [429, 200]


async def test_a_person_who_finished_in_another_browser_is_told_how_to_continue(world: World) -> None:
    """The chat opens links inside an app, and the vendor needs a real browser."""
    alice = world.phone("Alice")
    link = await offered(world, alice)
    async with a_browser() as inside, a_browser() as outside:
        await inside.to_consent(link)
        await outside.open(inside.url)
        assert not await outside.approve()
        assert outside.status == 403
        assert "how to get a new link" in outside.page
        await inside.open(link)
        assert inside.status == 410
        await nothing_connected(world, alice)
        assert 'write "connect Asana"' in (await alice.wait_for_message(timeout=20)).text
        again = await offered(world, alice, "connect Asana")
        assert DEMO in (await world.ask(alice, await outside.follow(again))).text, "the waiting request is done"
    assert await tasks_named_demo(world, alice) == 1


# --- states -----------------------------------------------------------------------------------------------------


async def test_denied_consent_is_reported_in_the_chat_and_a_new_link_is_available(either: World) -> None:
    alice = either.phone("Alice")
    link = await offered(either, alice)
    async with a_browser() as browser:
        await browser.to_consent(link)
        await browser.submit(decision="deny")
        assert "Access was not granted" in browser.page
    assert "was not connected" in (await alice.wait_for_message(timeout=20)).text
    again = await offered(either, alice, "connect my asana")
    assert again != link
    async with a_browser() as browser:
        assert DEMO in (await either.ask(alice, await browser.follow(again))).text, "the waiting request still resumes"


async def test_a_person_who_lost_the_page_gets_a_new_link_on_request(either: World) -> None:
    alice = either.phone("Alice")
    link = await offered(either, alice)
    async with a_browser() as lost:
        code = await lost.follow(link)
    async with a_browser() as browser:
        await browser.open(await offered(either, alice, "connect my asana"))
        assert browser.status == 409, "the same link, which another browser has opened"
        new = await offered(either, alice, "a new link, please")
        assert new != link
        assert "no longer valid" in (await either.ask(alice, code)).text
        assert DEMO in (await either.ask(alice, await browser.follow(new))).text
    assert await tasks_named_demo(either, alice) == 1
    assert len(either.emulators.composio.accounts_of(await either.person_of(alice))) == 1


async def test_a_link_by_rpc_replaces_the_pending_one(world: World) -> None:
    alice = world.phone("Alice")
    link = await offered(world, alice, "connect my asana")
    request = connections_pb2.CreateConnectLinkRequest(user_id=f"whatsapp:{alice.user_id}", toolkit="asana")

    async def by_rpc() -> messages_pb2.Link:
        return (await world.stub.CreateConnectLink(request, metadata=bearer(WHATSAPP_TOKEN))).link

    assert (await by_rpc()).url == link, "it was not opened yet"
    async with a_browser() as browser:
        await browser.to_consent(link)
        new = await by_rpc()
        assert new.url != link
        await browser.open(link)
        assert browser.status == 410
    assert await offered(world, alice, "connect my asana") == new.url


async def test_a_code_that_never_comes_leaves_nothing(either: World) -> None:
    alice = either.phone("Alice")
    async with a_browser() as browser:
        code = await browser.follow(await offered(either, alice))
    either.wall = lambda: time.time() + CODE_SECONDS + 1
    await either.kernel.attempt_closer.sweep()
    assert "I did not get its code" in (await alice.wait_for_message(timeout=20)).text
    await nothing_connected(either, alice)
    assert "no longer valid" in (await either.ask(alice, code)).text


async def test_a_connection_that_the_vendor_ended_is_told(either: World) -> None:
    alice = either.phone("Alice")
    async with a_browser() as browser:
        await either.ask(alice, await browser.follow(await offered(either, alice, "connect my asana")))
    person = await either.person_of(alice)
    [account] = either.emulators.composio.accounts_of(person)
    body = orjson.dumps({"type": "composio.connected_account.expired", "data": {"id": account.id, "user_id": person}})
    for expected in (200, 200):
        assert await event(either, body) == expected
    assert await event(either, body, secret="another") == 401
    assert "no longer connected" in (await alice.wait_for_message(timeout=20)).text
    request = connections_pb2.ListConnectionsRequest(user_id=f"whatsapp:{alice.user_id}")
    listed = await either.stub.ListConnections(request, metadata=bearer(WHATSAPP_TOKEN))
    assert [each.status for each in listed.connections] == [connections_pb2.CONNECTION_STATUS_EXPIRED]
    assert (await either.ask(alice, "list my tasks")).link is not None


async def event(world: World, body: bytes, secret: str = SECRET) -> int:
    at = str(int(time.time()))
    digest = hmac.digest(secret.encode(), f"msg_1.{at}.".encode() + body, hashlib.sha256)
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": at,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
    url = f"{world.connect_url}/connect/events"
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as answer:
        return answer.status


async def test_disconnect_in_chat(either: World) -> None:
    alice = either.phone("Alice")
    async with a_browser() as browser:
        await either.ask(alice, await browser.follow(await offered(either, alice, "connect my asana")))
    question = await either.ask(alice, "disconnect my asana")
    assert either.emulators.composio.accounts_of(await either.person_of(alice))
    await alice.tap(question, "Approve")
    assert "asana is disconnected" in (await alice.wait_for_message(timeout=20)).text.lower()
    assert not either.emulators.composio.accounts_of(await either.person_of(alice))
    assert (await either.ask(alice, "list my tasks")).link is not None
