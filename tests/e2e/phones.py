"""Phones of the emulators in another process, used as the phones page uses them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp


@asynccontextmanager
async def phones(url: str) -> AsyncIterator["Phones"]:
    async with aiohttp.ClientSession(url) as session, session.get("/phones/events") as events:
        yield Phones(session, events, url)


class Phones:
    def __init__(self, session: aiohttp.ClientSession, events: aiohttp.ClientResponse, url: str) -> None:
        self._url = url
        self._session = session
        self._events = events

    async def add(self, label: str) -> str:
        return str((await self._post("/phones", label=label))["id"])

    async def ask(self, phone: str, text: str, seconds: float = 60) -> str:
        """Write, and return the text of the next message that this phone receives."""
        return str((await self.answer(phone, text, seconds))["text"])

    async def answer(self, phone: str, text: str, seconds: float = 60) -> dict[str, Any]:
        """Write, and return the next message that this phone receives, as the page gets it."""
        await self.write(phone, text)
        return await self.next_message(phone, seconds)

    async def write(self, phone: str, text: str) -> None:
        await self._post(f"/phones/{phone}/messages", text=text)

    async def tap(self, phone: str, message: str, choice: str) -> None:
        """Tap a button of a message, by its title."""
        await self._post(f"/phones/{phone}/taps", message=message, choice=choice)

    async def let_pass(self, seconds: float) -> None:
        await self._post("/phones/time", seconds=seconds)

    async def ask_while_away(self, phone: str, text: str, service: str, seconds: float = 60) -> tuple[str, Any]:
        """Kill a service with the page's button, and write. The answer, and what the page says once nothing waits."""
        origin = {"Origin": self._url}
        async with self._session.post("/phones/kills", json={"service": service}, headers=origin) as response:
            response.raise_for_status()
        answer = await self.ask(phone, text, seconds)
        async with asyncio.timeout(seconds):
            async for kind, data in self._each_event():
                if kind == "crash" and data["kill"]["waiting"] == 0:
                    return answer, data["kill"]
        raise AssertionError("the emulators ended the stream of events")

    async def ask_of_file(self, phone: str, file: bytes, mime_type: str, text: str, seconds: float = 60) -> str:
        """Send a file with a text, and return the text of the next message that this phone receives."""
        headers = {"Content-Type": mime_type, "X-Phones-Page": "1"}
        url, query = f"/phones/{phone}/files", {"caption": text}
        async with self._session.post(url, data=file, params=query, headers=headers) as response:
            response.raise_for_status()
        return str((await self.next_message(phone, seconds))["text"])

    async def next_message(self, phone: str, seconds: float = 60) -> dict[str, Any]:
        """The next message that this phone receives, as the page gets it."""
        async with asyncio.timeout(seconds):
            async for kind, data in self._each_event():
                if kind == "message" and data["phone"] == phone and not data["message"]["mine"]:
                    message: dict[str, Any] = data["message"]
                    return message
        raise AssertionError("the emulators ended the stream of events")

    async def _post(self, path: str, **body: str | float) -> dict[str, Any]:
        async with self._session.post(path, json=body) as response:
            response.raise_for_status()
            answer: dict[str, Any] = await response.json()
            return answer

    async def _each_event(self) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        kind = ""
        async for line in self._events.content:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name == "event":
                kind = value
            elif name == "data":
                yield kind, json.loads(value)
