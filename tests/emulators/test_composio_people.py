"""Links, accounts and data of a Composio user stay with that user. Each way to lose an account is emulated."""

import asyncio
from typing import Any

import aiohttp
import pytest
from composio_client import APIConnectionError, APIStatusError, AsyncComposio, BadRequestError, RateLimitError

from emulators.app import Emulators
from emulators.composio.consent import LinkGoneError
from emulators.composio.workplace import owner_mark
from tests.clock import Clock

ALICE, BOB = "person_alice", "person_bob"


class Person:
    """A Composio user with their own session."""

    def __init__(self, composio: AsyncComposio, session_id: str) -> None:
        self.session = composio.tool_router.session
        self.session_id = session_id

    @classmethod
    async def new(cls, composio: AsyncComposio, user_id: str, **more: Any) -> "Person":
        return cls(composio, (await composio.tool_router.session.create(user_id=user_id, **more)).session_id)

    async def link(self, toolkit: str = "asana", **more: Any) -> Any:
        return await self.session.link(self.session_id, toolkit=toolkit, **more)

    async def connect(self, emulators: Emulators, toolkit: str = "asana") -> str:
        link = await self.link(toolkit)
        emulators.composio.approve(link.redirect_url)
        return str(link.connected_account_id)

    async def execute(self, slug: str, account: str | None = None, **arguments: Any) -> Any:
        more: dict[str, Any] = {"account": account} if account else {}
        return await self.session.execute(self.session_id, tool_slug=slug, arguments=arguments, **more)

    async def task_names(self) -> list[str]:
        return [task["name"] for task in (await self.execute("ASANA_LIST_TASKS")).data["data"]]


@pytest.fixture
async def alice(composio: AsyncComposio) -> Person:
    return await Person.new(composio, ALICE)


@pytest.fixture
async def bob(composio: AsyncComposio) -> Person:
    return await Person.new(composio, BOB)


def slug_of(error: pytest.ExceptionInfo[Any]) -> str:
    details = error.value.details
    assert details is not None, "the error is not in Composio's format"
    assert details["request_id"] == error.value.response.headers["x-request-id"]
    return str(details["slug"])


async def test_the_data_of_each_person_is_marked_with_its_owner(
    emulators: Emulators, alice: Person, bob: Person
) -> None:
    await alice.connect(emulators)
    await bob.connect(emulators)
    alices, bobs = await alice.task_names(), await bob.task_names()
    assert alices
    assert not set(alices) & set(bobs)
    assert all(name.endswith(f"· owner {owner_mark(ALICE)}") for name in alices)
    assert all(name.endswith(f"· owner {owner_mark(BOB)}") for name in bobs)


async def test_tasks_are_created_completed_and_deleted_for_one(
    emulators: Emulators, alice: Person, bob: Person
) -> None:
    await alice.connect(emulators)
    await bob.connect(emulators)
    task = (await alice.execute("ASANA_CREATE_TASK", name="Water the plants")).data["data"]
    assert "Water the plants" in await alice.task_names()
    assert "Water the plants" not in await bob.task_names()
    stolen = await bob.execute("ASANA_DELETE_TASK", task_gid=task["gid"])
    assert (stolen.result_type, stolen.data) == ("failed", {})
    await alice.execute("ASANA_COMPLETE_TASK", task_gid=task["gid"])
    assert "Water the plants" not in await alice.task_names()
    await alice.execute("ASANA_DELETE_TASK", task_gid=task["gid"])
    assert task["gid"] not in [left.gid for left in emulators.composio.tasks_of(ALICE)]


async def test_mails(emulators: Emulators, alice: Person) -> None:
    await alice.connect(emulators, "gmail")
    mails = (await alice.execute("GMAIL_FETCH_EMAILS", query="invoice")).data["messages"]
    assert [mail["subject"] for mail in mails] == [f"Your invoice · owner {owner_mark(ALICE)}"]
    sent = await alice.execute("GMAIL_SEND_EMAIL", recipient_email="x@y.example", body="hi")
    assert sent.data["labelIds"] == ["SENT"]


async def test_each_successful_execution_is_an_effect(emulators: Emulators, alice: Person) -> None:
    account = await alice.connect(emulators)
    await alice.execute("ASANA_CREATE_TASK", name="One")
    missing = await alice.execute("ASANA_CREATE_TASK")
    assert missing.error == "Invalid request data provided - Following fields are missing: {'name'}"
    wrong = await alice.execute("ASANA_LIST_TASKS", limit="many")
    assert "is not of type 'integer'" in wrong.error
    [effect] = emulators.effects.all("tool_execution")
    assert (effect.person, effect.key, effect.detail["account"]) == (ALICE, "ASANA_CREATE_TASK", account)
    assert effect.detail["read_only"] is False


async def test_an_account_of_another_person_is_refused(emulators: Emulators, alice: Person, bob: Person) -> None:
    await alice.connect(emulators)
    bobs = await bob.connect(emulators)
    with pytest.raises(BadRequestError, match="belonging to user person_alice") as refused:
        await alice.execute("ASANA_LIST_TASKS", account=bobs)
    assert slug_of(refused) == "ToolRouterV2_InvalidConnectedAccountIds"
    with pytest.raises(BadRequestError) as pinned:
        await alice.session.patch(alice.session_id, connected_accounts={"asana": [bobs]})
    assert slug_of(pinned) == "ToolRouterV2_InvalidConnectedAccountIds"
    assert not emulators.effects.all("tool_execution")


@pytest.mark.parametrize("lost", ["expire", "revoke", "disable"])
async def test_a_lost_account_no_longer_works(emulators: Emulators, alice: Person, lost: str) -> None:
    account = await alice.connect(emulators)
    getattr(emulators.composio, lost)(account)
    for named in (None, account):
        with pytest.raises(BadRequestError, match="No active connection") as refused:
            await alice.execute("ASANA_LIST_TASKS", account=named)
        assert slug_of(refused) == "ToolRouterV2_NoActiveConnection"


async def test_several_accounts_of_one_person(composio: AsyncComposio, emulators: Emulators, alice: Person) -> None:
    first = await alice.connect(emulators)
    work = await alice.link(alias="work")
    emulators.composio.approve(work.redirect_url)
    with pytest.raises(BadRequestError, match="already in use"):
        await alice.link(alias="work")
    for named in (None, first, "work"):
        await alice.execute("ASANA_LIST_TASKS", account=named)
    used = [effect.detail["account"] for effect in emulators.effects.all("tool_execution")]
    assert used == [work.connected_account_id, first, work.connected_account_id]
    await alice.session.patch(alice.session_id, connected_accounts={"asana": [first]})
    await alice.execute("ASANA_LIST_TASKS")
    assert emulators.effects.all("tool_execution")[-1].detail["account"] == first
    selecting = await Person.new(composio, ALICE, multi_account={"require_explicit_selection": True})
    with pytest.raises(BadRequestError, match=f"name one of: {first}"):
        await selecting.execute("ASANA_LIST_TASKS")


async def test_a_link_works_once_and_for_ten_minutes(emulators: Emulators, clock: Clock, alice: Person) -> None:
    used, late = await alice.link(), await alice.link()
    emulators.composio.approve(used.redirect_url)
    with pytest.raises(LinkGoneError):
        emulators.composio.approve(used.redirect_url)
    clock.now += 599
    assert emulators.composio.accounts_of(ALICE)[1].status == "INITIATED"
    clock.now += 1
    with pytest.raises(LinkGoneError):
        emulators.composio.approve(late.redirect_url)
    states = [account.status for account in emulators.composio.accounts_of(ALICE)]
    assert states == ["ACTIVE", "EXPIRED"]


async def test_the_consent_page_in_a_browser(emulators: Emulators, alice: Person) -> None:
    link = await alice.link(callback_url="https://app.example/back?nonce=n1")
    async with aiohttp.ClientSession() as browser:
        async with browser.get(link.redirect_url) as page:
            assert "Connect Asana" in await page.text()
        async with browser.post(link.redirect_url, data={"decision": "maybe"}) as page:
            assert page.status == 400
        form = {"decision": "approve"}
        async with browser.post(link.redirect_url, data=form, allow_redirects=False) as page:
            assert page.headers["Location"] == (
                f"https://app.example/back?nonce=n1&status=success&connected_account_id={link.connected_account_id}"
            )
        async with browser.get(link.redirect_url) as page:
            assert page.status == 410
        denied = await alice.link("gmail")
        async with browser.post(denied.redirect_url, data={"decision": "deny"}) as page:
            assert "go back to your chat" in await page.text()
    assert [account.status for account in emulators.composio.accounts_of(ALICE)] == ["ACTIVE", "FAILED"]
    kinds = [(effect.kind, effect.person) for effect in emulators.effects.all() if "account_" in effect.kind]
    assert kinds == [("account_connected", ALICE), ("account_denied", ALICE)]


async def test_denying_sends_the_browser_back_with_failed(composio: AsyncComposio, emulators: Emulators) -> None:
    settings = {"callback_url": "https://app.example/back"}
    link = await (await Person.new(composio, ALICE, manage_connections=settings)).link()
    assert emulators.composio.deny(link.redirect_url) == (
        f"https://app.example/back?status=failed&connected_account_id={link.connected_account_id}"
    )


async def test_a_verifier_leaves_the_account_to_complete_auth(
    composio: AsyncComposio, emulators: Emulators, alice: Person
) -> None:
    emulators.composio.set_verifier("https://app.example/verify")
    onward = emulators.composio.approve((await alice.link()).redirect_url)
    session_uri = onward.removeprefix("https://app.example/verify?session_uri=")
    assert emulators.composio.accounts_of(ALICE)[0].status == "INITIATED"
    complete = composio.connected_accounts.complete_auth
    with pytest.raises(APIStatusError, match="does not match") as mismatch:
        await complete(user_id=BOB, session_uri=session_uri)
    assert mismatch.value.status_code == 403
    completed = await complete(user_id=ALICE, session_uri=session_uri)
    assert completed.toolkit_slug == "asana"
    assert emulators.composio.accounts_of(ALICE)[0].status == "ACTIVE"
    with pytest.raises(APIStatusError, match="already used"):
        await complete(user_id=ALICE, session_uri=session_uri)


async def test_meta_tools(emulators: Emulators, alice: Person) -> None:
    async def meta(slug: Any, **arguments: Any) -> Any:
        return await alice.session.execute_meta(alice.session_id, slug=slug, arguments=arguments)

    managed = await meta("COMPOSIO_MANAGE_CONNECTIONS", toolkits=["asana", "nowhere"])
    emulators.composio.approve(managed.data["results"]["asana"]["redirect_url"])
    assert managed.data["results"]["nowhere"]["status"] == "failed"
    again = await meta("COMPOSIO_MANAGE_CONNECTIONS", toolkits=["asana"])
    assert again.data["results"]["asana"]["status"] == "active"
    several = await meta(
        "COMPOSIO_MULTI_EXECUTE_TOOL",
        tools=[
            {"tool_slug": "ASANA_LIST_TASKS", "arguments": {}},
            {"tool_slug": "GMAIL_FETCH_EMAILS", "arguments": {}},
        ],
    )
    assert [bool(result["error"]) for result in several.data["results"]] == [False, True]
    found = await meta("COMPOSIO_SEARCH_TOOLS", queries=[{"use_case": "delete a task"}])
    assert "ASANA_DELETE_TASK" in found.data["results"][0]["primary_tool_slugs"]
    wrong = await meta("COMPOSIO_SEARCH_TOOLS", query="x")
    assert wrong.result_type == "failed"
    assert "Unrecognized key" in wrong.error
    assert "no sandbox" in (await meta("COMPOSIO_REMOTE_BASH_TOOL")).error
    await alice.session.patch(alice.session_id, workbench={"enable": False})
    with pytest.raises(BadRequestError, match="not allowed for this session"):
        await meta("COMPOSIO_REMOTE_BASH_TOOL")
    direct = await alice.execute("COMPOSIO_GET_TOOL_SCHEMAS", tool_slugs=["NO_SUCH"])
    assert direct.data["not_found"] == ["NO_SUCH"]


async def test_a_toolkit_without_accounts(emulators: Emulators, alice: Person) -> None:
    posts = await alice.execute("HACKERNEWS_GET_LATEST_POSTS", limit=2)
    assert len(posts.data["posts"]) == 2
    with pytest.raises(BadRequestError, match="does not require authentication") as refused:
        await alice.link("hackernews")
    assert slug_of(refused) == "ToolRouterV2_ToolkitsIsNoAuth"


async def test_faults_and_holds(emulators: Emulators, alice: Person, bob: Person) -> None:
    await alice.connect(emulators)
    await bob.connect(emulators)
    emulators.composio.fail(429, retry_after=3, match=lambda call: call.person == ALICE)
    with pytest.raises(RateLimitError) as limited:
        await alice.task_names()
    assert limited.value.response.headers["retry-after"] == "3"
    emulators.composio.fail(0)
    with pytest.raises(APIConnectionError):
        await alice.task_names()
    hold = emulators.composio.hold(lambda call: call.path.endswith("/execute") and call.person == BOB)
    held = asyncio.create_task(bob.task_names())
    await asyncio.wait_for(hold.reached.wait(), 30)
    assert await alice.task_names()
    assert not emulators.effects.all("tool_execution", person=BOB)
    hold.release()
    assert await held
