"""The baseline for the pair's cost: a webhook handler that makes the same vendor calls, without any guarantees.

It answers 200 before anything is done, and keeps histories in memory only. It has no durability, order, deduplication
or isolation.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
from collections import defaultdict
from typing import Any

import aiohttp
import httpx2
import openai
import orjson
import uvloop
from aiohttp import web

_INSTRUCTIONS = "You are the personal assistant of one person, in a chat on their phone. " * 20
"""About as long as the kernel's instructions."""
_TOOLS = [
    {
        "type": "function",
        "name": "connect",
        "description": "Let the person connect an account that a request needs: a button is put below your answer.",
        "parameters": {"type": "object", "properties": {"toolkit": {"type": "string"}}, "required": ["toolkit"]},
        "strict": False,
    }
]


class BareHandler:
    def __init__(self, model: openai.AsyncOpenAI, graph: aiohttp.ClientSession, graph_url: str, secret: bytes) -> None:
        self._model = model
        self._graph = graph
        self._graph_url = graph_url
        self._secret = secret
        self._histories: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        self._tasks: set[asyncio.Task[None]] = set()

    async def receive(self, request: web.Request) -> web.Response:
        raw = await request.read()
        expected = "sha256=" + hmac.new(self._secret, raw, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected, request.headers.get("X-Hub-Signature-256", "")):
            return web.Response(status=401)
        for entry in orjson.loads(raw)["entry"]:
            for change in entry["changes"]:
                for message in change["value"].get("messages", ()):
                    self._start(change["value"]["metadata"]["phone_number_id"], message)
        return web.Response()

    def _start(self, number: str, message: dict[str, Any]) -> None:
        read = {"status": "read", "message_id": message["id"], "typing_indicator": {"type": "text"}}
        for work in (self._post(number, read), self._answer(number, message)):
            task = asyncio.create_task(work)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(self, number: str, message: dict[str, Any]) -> None:
        person = message["from_user_id"]
        history = self._histories[person]
        text = {"type": "input_text", "text": message["text"]["body"]}
        history.append({"type": "message", "role": "user", "content": [text]})
        output = await self._ask(person, history)
        history += output
        said = "".join(part["text"] for item in output if item["type"] == "message" for part in item["content"])
        reply = {"recipient_type": "individual", "recipient": person, "type": "text", "text": {"body": said}}
        await self._post(number, reply)

    async def _ask(self, person: str, history: list[dict[str, Any]]) -> list[dict[str, Any]]:
        body = {
            "model": "benchmark",
            "instructions": _INSTRUCTIONS,
            "input": history,
            "tools": _TOOLS,
            "store": False,
            "include": ["reasoning.encrypted_content"],
            "safety_identifier": person,
        }
        response = await self._model.post("/responses", content=orjson.dumps(body), cast_to=httpx2.Response)
        output: list[dict[str, Any]] = orjson.loads(await response.aread())["output"]
        return output

    async def _post(self, number: str, body: dict[str, Any]) -> None:
        url = f"{self._graph_url}/v26.0/{number}/messages"
        raw = orjson.dumps({"messaging_product": "whatsapp", **body})
        async with self._graph.post(url, data=raw, headers={"Content-Type": "application/json"}) as response:
            orjson.loads(await response.read())


async def build_app() -> web.Application:
    environment = os.environ
    model = openai.AsyncOpenAI(max_retries=0, http_client=openai.DefaultAioHttpClient())
    headers = {"Authorization": f"Bearer {environment['WHATSAPP_ACCESS_TOKEN']}"}
    graph = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), headers=headers)
    url, secret = environment["WHATSAPP_API_BASE_URL"], environment["WHATSAPP_APP_SECRET"].encode()

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    app = web.Application()
    app.router.add_post("/webhook", BareHandler(model, graph, url, secret).receive)
    app.router.add_get("/readyz", healthz)
    return app


if __name__ == "__main__":
    host, _, port = os.environ["GATEWAY_LISTEN"].rpartition(":")
    web.run_app(build_app(), host=host, port=int(port), access_log=None, print=None, loop=uvloop.new_event_loop())
