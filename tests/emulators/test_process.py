"""The emulators as a separate process: switched over HTTP, killed, and started again."""

import json
import os
import signal
import sys
from asyncio import create_subprocess_exec, create_task, subprocess, wait_for
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest
from composio_client import APIStatusError, AsyncComposio, ProjectAuth
from openai import AsyncOpenAI

from tests.emulators.whatsapp.fakes import Gateway, Graph

ROOT = Path(__file__).parents[2]
KEYS = {"OPENAI_API_KEY": "sk-test", "COMPOSIO_API_KEY": "ak_test"}
ENVIRONMENT = {**os.environ, **KEYS, "EMULATORS_LISTEN": "127.0.0.1:0"}


async def start(**settings: str) -> subprocess.Process:
    paths = os.pathsep.join([str(ROOT), str(ROOT / "protos" / "gen")])
    return await create_subprocess_exec(
        sys.executable,
        "-m",
        "emulators",
        env={**ENVIRONMENT, "PYTHONPATH": paths, **settings},
        stderr=subprocess.PIPE,
    )


@asynccontextmanager
async def running(**settings: str) -> AsyncIterator[tuple[subprocess.Process, str]]:
    """The process and its URL, as its log says it."""
    process = await start(**settings)
    assert process.stderr is not None
    try:
        line = ""
        while "ready at" not in line:
            raw = await wait_for(process.stderr.readline(), 60)
            assert raw, "the process ended before it was ready"
            line = raw.decode()
        yield process, line.split()[-1]
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def post(url: str, body: dict[str, Any], status: int = 200) -> Any:
    async with aiohttp.ClientSession() as http, http.post(url, json=body) as answer:
        text = await answer.text()
        assert answer.status == status, text
        return json.loads(text)


async def effects(url: str, *, after: int = 0, wait: int = 0) -> Any:
    query = {"after": after, "wait": wait}
    async with aiohttp.ClientSession() as http, http.get(f"{url}/effects", params=query) as answer:
        return await answer.json()


async def test_switches_work_over_http_and_the_log_survives_a_kill(tmp_path: Path) -> None:
    file = str(tmp_path / "effects.jsonl")
    async with running(EMULATORS_EFFECTS_FILE=file) as (process, url):
        control = f"{url}/control/openai"
        await post(f"{control}/script", {"turns": ["scripted", {"call": "t", "arguments": {"x": 1}}]})
        async with AsyncOpenAI(api_key="sk-test", base_url=f"{url}/openai/v1", max_retries=0) as client:

            async def ask() -> Any:
                return await client.responses.create(model="gpt-6.2-sol", input="hi", safety_identifier="p")

            assert (await ask()).output_text == "scripted"
            assert (await ask()).output[-1].arguments == '{"x":1}'
            await post(f"{control}/fail", {"status": 503, "match": {"person": "p"}})
            with pytest.raises(openai.InternalServerError):
                await ask()
            hold = await post(f"{control}/hold", {"match": {"text": "hi"}})
            held = create_task(ask())
            assert await post(f"{control}/reached", hold) == {"reached": True}
            await post(f"{control}/release", hold)
            assert (await held).status == "completed"
        async with aiohttp.ClientSession() as http, http.get(f"{url}/effects?after=1") as answer:
            assert [effect["number"] for effect in await answer.json()] == [2, 3]
        process.send_signal(signal.SIGKILL)
        await process.wait()
    async with running(EMULATORS_EFFECTS_FILE=file) as (process, url):
        async with aiohttp.ClientSession() as http, http.get(f"{url}/effects") as answer:
            assert [effect["kind"] for effect in await answer.json()] == ["model_call"] * 3
        process.terminate()
        assert await wait_for(process.wait(), 30) == 0


async def test_consent_and_revocation_work_over_http() -> None:
    async with running() as (_, url):
        control = f"{url}/control/composio"
        async with AsyncComposio(auth=ProjectAuth("ak_test"), base_url=f"{url}/composio") as client:
            session = client.tool_router.session
            session_id = (await session.create(user_id="p")).session_id
            link = await session.link(session_id, toolkit="asana", callback_url="https://app.example/")
            onward = await post(f"{control}/approve", {"link": link.redirect_url})
            assert onward["onward"].startswith("https://app.example/?status=success&connected_account_id=ca_")
            await session.execute(session_id, tool_slug="ASANA_LIST_TASKS", arguments={})
            await post(f"{control}/revoke", {"account": link.connected_account_id})
            with pytest.raises(APIStatusError, match="No active connection"):
                await session.execute(session_id, tool_slug="ASANA_LIST_TASKS", arguments={})
        async with aiohttp.ClientSession() as http:
            for action, body in (("dance", {}), ("approve", {"link": "lk_gone"}), ("revoke", {})):
                async with http.post(f"{control}/{action}", json=body) as answer:
                    assert answer.status in (400, 404)


async def test_phones_are_used_and_sends_are_held_over_http() -> None:
    async with Gateway().serving() as (gateway, webhook_url), running(EMULATORS_WEBHOOK_URL=webhook_url) as (_, url):
        control = f"{url}/control/whatsapp"
        await post(f"{control}/patience", {"seconds": 0})
        alice, bob = [(await post(f"{url}/phones", {"label": label}, 201))["id"] for label in ("Alice", "Bob")]
        texts = [{"phone": alice, "text": "1"}, {"phone": alice, "text": "2"}, {"phone": bob, "text": "3"}]
        gateway.answers = [503]
        wamids = (await post(f"{control}/together", {"messages": texts}))["wamids"]
        await gateway.wait_until(lambda: len(gateway.posts) == 2)
        assert [message["id"] for message in gateway.messages()] == 2 * wamids
        await post(f"{control}/again", {"wamids": wamids[1:2]})
        await gateway.wait_until(lambda: len(gateway.posts) == 3)
        assert gateway.messages()[-1]["id"] == wamids[1]
        hold = await post(f"{control}/hold", {"match": {"person": bob}, "after": True})
        async with aiohttp.ClientSession() as session:
            held = create_task(Graph(session, url).text("hello", recipient=bob, biz_opaque_callback_data="r/1/1"))
            assert await post(f"{control}/reached", hold) == {"reached": True}
            log = await effects(url)
            assert [effect["key"] for effect in log if effect["kind"] == "graph_send"] == ["r/1/1"]
            await post(f"{control}/release", hold)
            assert (await held)[0] == 200
        posted, taken = ([e for e in log if e["kind"] == f"message_{what}"] for what in ("posted", "taken"))
        assert [(e["person"], e["key"], e["detail"]["text"]) for e in posted] == [
            (alice, wamids[0], "1"),
            (alice, wamids[1], "2"),
            (bob, wamids[2], "3"),
        ]
        assert {e["detail"]["post"] for e in posted} == {wamids[0]}
        assert [e["key"] for e in taken] == wamids


async def test_clients_wait_for_the_log_and_add_to_it() -> None:
    async with running() as (_, url):
        waiting = create_task(effects(url, wait=30))
        noted = await post(f"{url}/effects", {"kind": "killed", "key": "kernel_service", "pid": 7}, 201)
        assert await waiting == [noted]
        assert (noted["number"], noted["detail"]) == (1, {"pid": 7})
        assert await effects(url, after=1) == []
        async with aiohttp.ClientSession() as http, http.post(f"{url}/effects", json={"what": 1}) as answer:
            assert answer.status == 400


async def test_a_bad_setting_is_named_and_ends_the_process() -> None:
    process = await start(EMULATORS_LISTEN="somewhere")
    _, stderr = await wait_for(process.communicate(), 30)
    assert process.returncode == 2
    assert stderr.decode().startswith("EMULATORS_LISTEN: ")
