"""Stubs of OpenAI and the Graph API for load: they speak just enough of the protocols, at far less cost than emulators.

The model answers at once and repeats its input, so that each Graph call can be identified by its marker.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from contextlib import asynccontextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

import orjson

from benchmarks import webhooks
from benchmarks.http_server import Conversation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.http_client import Client

_STATUS_DELAYS = {"sent": 0.2, "delivered": 0.4}
"""Seconds from a send to its status webhooks."""
_MARKER = re.compile(rb"q-\d+")
_READ = b'{"success":true}'
_COMPACTION_SIZE = 4000
"""Characters. The vendor keeps the essence of a conversation of any length in about as many tokens as a page."""
_ANSWER_FILLER = "I have looked at it: it is sound, and I would only shorten its second half before you send it on."


class Vendors:
    """The vendors of one system under load.

    `sent` maps a marker to when its answer reached the Graph API, in the loop's time. `last_asked` is when the latest
    request arrived, `requests` how many did. `times_sent` counts the Graph calls with each marker.
    """

    def __init__(self, thinking: float = 0.0) -> None:
        """`thinking` is the model's delay, in seconds."""
        self._thinking = thinking
        self.sent: dict[str, float] = {}
        self.times_sent: Counter[str] = Counter()
        self.model_calls = 0
        self.tokens = 0
        """Sent to the model: four bytes are one."""
        self.requests = 0
        self.last_asked = 0.0
        self.url = ""
        self.statuses_under_way: set[asyncio.Task[int]] = set()
        self._numbers = count(1)
        self._webhooks: Client | None = None

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Vendors]:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Conversation(self._answer, self._delay), "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()

    def report_to(self, client: Client) -> None:
        """Set the client that sends status webhooks."""
        self._webhooks = client

    def _delay(self, path: bytes) -> float:
        return self._thinking if path.endswith(b"/responses") else 0.0

    def _answer(self, path: bytes, body: bytes) -> bytes:
        self.last_asked = asyncio.get_running_loop().time()
        self.requests += 1
        return self._model(body) if path.endswith(b"/responses") else self._graph(body)

    # --- OpenAI -------------------------------------------------------------------------------------------------

    def _model(self, body: bytes) -> bytes:
        self.model_calls += 1
        asked = orjson.loads(body)
        number = next(self._numbers)
        words = asked["input"][-1]["content"][0]["text"]
        reasoning = {"id": f"rs_{number:048x}", "type": "reasoning", "summary": [], "encrypted_content": "g" * 600}
        text = {"type": "output_text", "text": f"{words}\n\n{_ANSWER_FILLER}", "annotations": [], "logprobs": []}
        tokens = len(body) // 4
        self.tokens += tokens
        threshold = asked.get("context_management", [{"compact_threshold": tokens}])[0]["compact_threshold"]
        compaction = {"id": f"cmp_{number:048x}", "type": "compaction", "encrypted_content": "g" * _COMPACTION_SIZE}
        said = {"id": f"msg_{number:048x}", "type": "message", "status": "completed", "role": "assistant"}
        response = {
            "id": f"resp_{number:048x}",
            "object": "response",
            "status": "completed",
            "error": None,
            "incomplete_details": None,
            "output": [*([compaction] if tokens > threshold else []), reasoning, said | {"content": [text]}],
            "usage": _usage(tokens),
            # A Response repeats the settings of its request.
            **{name: asked.get(name) for name in ("instructions", "model", "tools", "safety_identifier")},
        }
        return orjson.dumps(response)

    # --- Graph --------------------------------------------------------------------------------------------------

    def _graph(self, body: bytes) -> bytes:
        asked = orjson.loads(body)
        if asked.get("status") == "read":
            return _READ
        if marker := _MARKER.search(body):
            self.sent[marker[0].decode()] = self.last_asked
            self.times_sent[marker[0].decode()] += 1
        wamid, to = f"wamid.sent{next(self._numbers)}", asked.get("recipient") or asked["to"]
        self._report(wamid, asked.get("biz_opaque_callback_data", ""), to)
        contacts = [{"input": to, "user_id": to}]
        return orjson.dumps({"messaging_product": "whatsapp", "contacts": contacts, "messages": [{"id": wamid}]})

    def _report(self, wamid: str, callback_id: str, to: str) -> None:
        for state, delay in _STATUS_DELAYS.items():
            task = asyncio.create_task(self._deliver(delay, webhooks.status(state, wamid, callback_id, to)))
            self.statuses_under_way.add(task)
            task.add_done_callback(self.statuses_under_way.discard)

    async def _deliver(self, delay: float, request: bytes) -> int:
        await asyncio.sleep(delay)
        return await self._webhooks.ask(request) if self._webhooks else 0


def _usage(input_tokens: int) -> dict[str, Any]:
    return {
        "input_tokens": input_tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 40,
        "output_tokens_details": {"reasoning_tokens": 8},
        "total_tokens": input_tokens + 40,
    }
