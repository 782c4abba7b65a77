"""The Composio emulator driven by Composio's own client; every answer must satisfy the client's models strictly."""

from typing import Any

import pytest
from composio_client import AsyncComposio, NotFoundError
from composio_client.types import (
    connected_account_list_response,
    connected_account_retrieve_response,
    tool_list_response,
    tool_retrieve_response,
    toolkit_list_response,
)
from composio_client.types.tool_router import (
    session_create_response,
    session_execute_meta_response,
    session_execute_response,
    session_link_response,
    session_patch_response,
    session_retrieve_response,
    session_search_response,
    session_toolkits_response,
    session_tools_response,
)
from pydantic import BaseModel

from emulators.app import Emulators

ALICE = "person_alice"


def strictly(model: type[BaseModel], raw: Any) -> Any:
    """Validate the answer strictly against the SDK's model, which must know every field."""
    answer = model.model_validate_json(raw.http_response.text, strict=True)
    assert not answer.model_extra
    return answer


async def new_session(composio: AsyncComposio, user_id: str = ALICE, **more: Any) -> str:
    return (await composio.tool_router.session.create(user_id=user_id, **more)).session_id


async def test_create_use_patch_delete(composio: AsyncComposio, emulators: Emulators) -> None:
    session = composio.tool_router.session
    created = strictly(
        session_create_response.SessionCreateResponse,
        await session.with_raw_response.create(
            user_id=ALICE,
            toolkits={"enable": ["asana", "gmail"]},
            tools={"gmail": {"disable": ["GMAIL_SEND_EMAIL"]}, "asana": {"tags": ["readOnlyHint"]}},
            tags=["readOnlyHint"],
            manage_connections={"enable": False, "callback_url": "https://app.example/back"},
            workbench={"enable": False},
            multi_account={"enable": True, "max_accounts_per_toolkit": 3},
            preload={"tools": ["ASANA_LIST_TASKS"]},
        ),
    )
    assert created.session_id.startswith("trs_")
    assert len(created.session_id) == len("trs_") + 12
    assert created.config.user_id == ALICE
    assert created.config.toolkits.enabled == ["asana", "gmail"]
    assert created.config.manage_connections.enabled is False
    assert created.tool_router_tools == [
        "COMPOSIO_SEARCH_TOOLS",
        "COMPOSIO_GET_TOOL_SCHEMAS",
        "COMPOSIO_MULTI_EXECUTE_TOOL",
    ]
    used = strictly(
        session_retrieve_response.SessionRetrieveResponse,
        await session.with_raw_response.retrieve(created.session_id),
    )
    assert used.config.model_dump() == created.config.model_dump()
    patched = strictly(
        session_patch_response.SessionPatchResponse,
        await session.with_raw_response.patch(created.session_id, execute={"enable_multi_execute": False}),
    )
    assert (patched.config_version, patched.config.toolkits.enabled) == (2, ["asana", "gmail"])
    assert patched.tool_router_tools == ["COMPOSIO_SEARCH_TOOLS", "COMPOSIO_GET_TOOL_SCHEMAS"]
    assert (await session.delete(created.session_id)).deleted
    with pytest.raises(NotFoundError):
        await session.retrieve(created.session_id)
    assert not emulators.composio.sessions


async def test_tools_of_a_session_are_meta_tools_and_preloaded_ones(composio: AsyncComposio) -> None:
    session_id = await new_session(composio, preload={"tools": ["ASANA_LIST_TASKS"]}, workbench={"enable": False})
    tools = strictly(
        session_tools_response.SessionToolsResponse,
        await composio.tool_router.session.with_raw_response.tools(session_id, limit=500),
    )
    slugs = [tool.slug for tool in tools.items]
    assert slugs[-1] == "ASANA_LIST_TASKS"
    assert "COMPOSIO_MANAGE_CONNECTIONS" in slugs
    assert "COMPOSIO_REMOTE_WORKBENCH" not in slugs
    assert "readOnlyHint" in tools.items[-1].tags


async def test_preloading_all_shows_what_the_filters_allow(composio: AsyncComposio) -> None:
    session_id = await new_session(
        composio,
        toolkits={"enable": ["asana"]},
        tools={"asana": {"tags": {"disable": ["destructiveHint"]}}},
        preload={"tools": "all"},
    )
    tools = await composio.tool_router.session.tools(session_id, limit=500)
    assert [tool.slug for tool in tools.items if not tool.slug.startswith("COMPOSIO_")] == [
        "ASANA_LIST_TASKS",
        "ASANA_CREATE_TASK",
        "ASANA_COMPLETE_TASK",
    ]


async def test_lists_come_in_pages(composio: AsyncComposio) -> None:
    session_id = await new_session(composio)
    first = await composio.tool_router.session.tools(session_id, limit=4)
    second = await composio.tool_router.session.tools(session_id, limit=4, cursor=first.next_cursor or "")
    slugs = [tool.slug for tool in (*first.items, *second.items)]
    assert (first.total_pages, second.next_cursor) == (2, None)
    assert len(slugs) == len(set(slugs)) == 6


async def test_toolkits_show_the_persons_own_connection(composio: AsyncComposio, emulators: Emulators) -> None:
    session_id = await new_session(composio)
    link = await composio.tool_router.session.link(session_id, toolkit="asana")
    toolkits = strictly(
        session_toolkits_response.SessionToolkitsResponse,
        await composio.tool_router.session.with_raw_response.toolkits(session_id, limit=50),
    )
    states = {toolkit.slug: toolkit.connected_account for toolkit in toolkits.items}
    assert states["asana"].status == "INITIATED"
    assert states["gmail"] is None
    emulators.composio.approve(link.redirect_url)
    [connected] = (await composio.tool_router.session.toolkits(session_id, is_connected=True)).items
    assert connected.connected_account is not None
    assert (connected.slug, connected.connected_account.user_id) == ("asana", ALICE)
    others = await new_session(composio, "person_bob")
    assert not (await composio.tool_router.session.toolkits(others, is_connected=True)).items
    named = await composio.tool_router.session.toolkits(session_id, toolkits=["gmail", "hackernews"])
    assert [toolkit.slug for toolkit in named.items] == ["gmail", "hackernews"]


async def test_link_and_account_shapes(composio: AsyncComposio, emulators: Emulators) -> None:
    session_id = await new_session(composio)
    link = strictly(
        session_link_response.SessionLinkResponse,
        await composio.tool_router.session.with_raw_response.link(session_id, toolkit="asana", alias="work"),
    )
    assert link.redirect_url == f"{emulators.url}/composio/link/{link.link_token}"
    controls = emulators.composio
    for change, status in (
        (lambda _: None, "INITIATED"),
        (lambda _: controls.approve(link.redirect_url), "ACTIVE"),
        (controls.disable, "INACTIVE"),
        (controls.expire, "EXPIRED"),
        (controls.revoke, "REVOKED"),
    ):
        change(link.connected_account_id)
        account = strictly(
            connected_account_retrieve_response.ConnectedAccountRetrieveResponse,
            await composio.connected_accounts.with_raw_response.retrieve(link.connected_account_id),
        )
        assert (account.status, account.user_id, account.alias) == (status, ALICE, "work")


async def test_accounts_are_listed_by_filters(composio: AsyncComposio, emulators: Emulators) -> None:
    links = {}
    for user_id in (ALICE, "person_bob"):
        session_id = await new_session(composio, user_id)
        for toolkit in ("asana", "gmail"):
            links[user_id, toolkit] = await composio.tool_router.session.link(session_id, toolkit=toolkit)
    emulators.composio.approve(links[ALICE, "asana"].redirect_url)
    listed = strictly(
        connected_account_list_response.ConnectedAccountListResponse,
        await composio.connected_accounts.with_raw_response.list(
            user_ids=[ALICE], statuses=["ACTIVE", "EXPIRED"], toolkit_slugs=["asana", "gmail"]
        ),
    )
    assert [account.id for account in listed.items] == [links[ALICE, "asana"].connected_account_id]
    assert not emulators.effects.all("unfiltered_accounts")
    assert (await composio.connected_accounts.list(user_ids=[])).total_items == 4
    assert emulators.effects.all("unfiltered_accounts")


async def test_deleting_an_account(composio: AsyncComposio, emulators: Emulators) -> None:
    session_id = await new_session(composio)
    link = await composio.tool_router.session.link(session_id, toolkit="asana")
    assert (await composio.connected_accounts.delete(link.connected_account_id)).success
    with pytest.raises(NotFoundError, match="not found"):
        await composio.connected_accounts.retrieve(link.connected_account_id)
    assert not emulators.composio.accounts_of(ALICE)


async def test_execute_and_search_shapes(composio: AsyncComposio, emulators: Emulators) -> None:
    session_id = await new_session(composio)
    session = composio.tool_router.session.with_raw_response
    link = await composio.tool_router.session.link(session_id, toolkit="asana")
    emulators.composio.approve(link.redirect_url)
    ran = strictly(
        session_execute_response.SessionExecuteResponse,
        await session.execute(session_id, tool_slug="ASANA_LIST_TASKS", arguments={}),
    )
    assert ran.result_type == "completed"
    meta = strictly(
        session_execute_meta_response.SessionExecuteMetaResponse,
        await session.execute_meta(
            session_id, slug="COMPOSIO_GET_TOOL_SCHEMAS", arguments={"tool_slugs": ["GMAIL_SEND_EMAIL"]}
        ),
    )
    assert "GMAIL_SEND_EMAIL" in meta.data["tool_schemas"]
    found = strictly(
        session_search_response.SessionSearchResponse,
        await session.search(session_id, queries=[{"use_case": "send an email"}, {"use_case": "zzz"}]),
    )
    assert found.results[0].primary_tool_slugs[0] == "GMAIL_SEND_EMAIL"
    assert found.results[1].primary_tool_slugs, "the vendor always finds something"
    statuses = {status.toolkit: status.has_active_connection for status in found.toolkit_connection_statuses}
    assert (statuses["asana"], statuses["gmail"]) == (True, False)


async def test_the_catalogue(composio: AsyncComposio) -> None:
    tools = strictly(
        tool_list_response.ToolListResponse,
        await composio.tools.with_raw_response.list(toolkit_slug="asana", limit=100),
    )
    assert {tool.toolkit.slug for tool in tools.items} == {"asana"}
    hints = {tool.slug: tool.tags for tool in tools.items}
    assert "destructiveHint" in hints["ASANA_DELETE_TASK"]
    assert "readOnlyHint" in hints["ASANA_LIST_TASKS"]
    one = strictly(
        tool_retrieve_response.ToolRetrieveResponse,
        await composio.tools.with_raw_response.retrieve("ASANA_CREATE_TASK"),
    )
    assert one.input_parameters["required"] == ["name"]
    toolkits = strictly(toolkit_list_response.ToolkitListResponse, await composio.toolkits.with_raw_response.list())
    assert [toolkit.slug for toolkit in toolkits.items] == ["asana", "gmail", "hackernews"]
    named = await composio.tools.list(tool_slugs="ASANA_LIST_TASKS,GMAIL_SEND_EMAIL")
    assert named.total_items == 2


@pytest.mark.parametrize("user_id", ["default", "default_user"])
async def test_reserved_user_ids_are_accepted_but_recorded(
    composio: AsyncComposio, emulators: Emulators, user_id: str
) -> None:
    await new_session(composio, user_id)
    [effect] = emulators.effects.all("reserved_user_id")
    assert effect.person == user_id
