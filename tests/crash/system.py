"""The whole product as real processes on free ports. The emulators act as vendors and people, and keep the log."""

from __future__ import annotations

import asyncio
import base64
import os
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from emulators.effects import Effect
from tests.connect_browser import a_browser
from tests.crash.evidence import Evidence
from tests.crash.processes import Process, Settings
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable
    from pathlib import Path

    from tests.crash.times import Times

_TOKEN: Final = "whatsapp-token-of-the-crash-suite"
_KEYS: Final = f"test:{base64.b64encode(b'test'.ljust(32)).decode()}"
"""The encryption key of the tests' PostgreSQL template."""
_NUMBER: Final = "106540352242922"
_POLL_SECONDS: Final = 5


@dataclass(slots=True)
class Person:
    """All tokens of the person begin with `name`; `phone` is their BSUID."""

    name: str
    phone: str
    written: count[int] = field(default_factory=lambda: count(1))

    def wish(self, kind: str = "") -> tuple[str, str]:
        """The token and the text of a new message."""
        token = f"{self.name}m{next(self.written)}"
        return token, " ".join(filter(None, ("load", kind, token)))


class System:
    """`emulators` is never killed. `log` is the effect log as far as it was read, `evidence` its summary.

    `other_gateway` starts only on request. If `both_receive`, webhooks go to both gateways in turn; else it only sends.
    """

    def __init__(
        self, folder: Path, database_url: str, times: Times, settings: Settings, *, both_receive: bool = False
    ) -> None:
        ports = {
            name: free_port()
            for name in ("emulators", "kernel", "kernel_metrics", "connect", "gateway", "other_gateway")
        }
        self.url = f"http://127.0.0.1:{ports['emulators']}"
        self.effects_file = folder / "effects.jsonl"
        self.log: list[Effect] = []
        self.evidence = Evidence()
        self.connect_url = f"http://127.0.0.1:{ports['connect']}"
        kernel, gateway, other = (f"127.0.0.1:{ports[name]}" for name in ("kernel", "gateway", "other_gateway"))
        receiving = (gateway, other) if both_receive else (gateway,)
        keys = {"OPENAI_API_KEY": "sk-emulated", "COMPOSIO_API_KEY": "ak_emulated"}
        whatsapp = {
            "WHATSAPP_ACCESS_TOKEN": "emulated-access-token",
            "WHATSAPP_APP_SECRET": "emulated-app-secret",
            "WHATSAPP_VERIFY_TOKEN": "emulated-verify-token",
            "WHATSAPP_PHONE_NUMBER_ID": _NUMBER,
        }
        emulators_settings = {
            "EMULATORS_LISTEN": f"127.0.0.1:{ports['emulators']}",
            "EMULATORS_WEBHOOK_URL": ",".join(f"http://{each}/webhook" for each in receiving),
            "EMULATORS_EFFECTS_FILE": str(self.effects_file),
            "KERNEL_ADDRESS": kernel,
        }
        kernel_settings = {
            "KERNEL_LISTEN": kernel,
            "KERNEL_METRICS_LISTEN": f"127.0.0.1:{ports['kernel_metrics']}",
            "CONNECT_LISTEN": f"127.0.0.1:{ports['connect']}",
            "CONNECT_TRUSTED_PROXIES": "127.0.0.1",
            "KERNEL_DATABASE_URL": database_url,
            "KERNEL_CHANNEL_TOKENS": f"whatsapp={_TOKEN}",
            "KERNEL_ENCRYPTION_KEYS": _KEYS,
            "KERNEL_DEBOUNCE_SECONDS": "0",
            "KERNEL_SWEEP_SECONDS": "5",
            # A turn that checks whether a cut call was done is tainted by the tool's output, and no person here would
            # tap the approval button.
            "KERNEL_APPROVE_TOOLS": "!ASANA_CREATE_*",
            "OPENAI_BASE_URL": f"{self.url}/openai/v1",
            "COMPOSIO_BASE_URL": f"{self.url}/composio",
        }
        gateway_settings = {
            "GATEWAY_LISTEN": gateway,
            "KERNEL_ADDRESS": f"dns:///{kernel}",
            "KERNEL_TOKEN": _TOKEN,
            "WHATSAPP_API_BASE_URL": f"{self.url}/graph",
        }

        def process(service: str, own: Settings, ready_url: str) -> Process:
            return Process(service, {"PATH": os.environ["PATH"]} | own, ready_url, folder / f"{service}.log", times)

        self.emulators = process("emulators", emulators_settings | keys | whatsapp, f"{self.url}/effects")
        self.kernel = process(
            "kernel_service",
            kernel_settings | keys | settings,
            f"http://127.0.0.1:{ports['kernel_metrics']}/healthz",
        )
        self.gateway = process("whatsapp_gateway", gateway_settings | whatsapp, f"http://{gateway}/healthz")
        self.other_gateway = _beside(self.gateway, other, folder)
        self._people = count(1)

    @property
    def processes(self) -> tuple[Process, ...]:
        return self.emulators, self.kernel, self.gateway

    @asynccontextmanager
    async def running(self) -> AsyncIterator[System]:
        """Start all three and wait until they are ready. At the end kill them all."""
        self._http = aiohttp.ClientSession()
        try:
            for process in self.processes:
                await process.start()
            await asyncio.gather(*(process.ready() for process in self.processes))
            await self.control("whatsapp", "patience", seconds=0.1)
            yield self
        finally:
            begun = [process for process in (*self.processes, self.other_gateway) if process.begun]
            await asyncio.gather(*(process.kill() for process in begun))
            await self._http.close()

    # --- the emulators ------------------------------------------------------------------------------------------

    async def control(self, vendor: str, action: str, **body: Any) -> Any:
        return await self._post(f"/control/{vendor}/{action}", body)

    async def hold(self, vendor: str, *, after: bool = False, **match: str) -> Hold:
        answer = await self.control(vendor, "hold", match=match, after=after)
        return Hold(self, vendor, answer["hold"])

    async def note(self, kind: str, process: Process, **detail: Any) -> None:
        """Record in the log an action on a process."""
        await self._post("/effects", {"kind": kind, "key": process.name, **detail})

    async def until(self, seen: Callable[[], bool], timeout: float = 30) -> None:
        """Read the log until `seen` is true. Raises TimeoutError."""
        async with asyncio.timeout(timeout):
            while not seen():
                await self.read_on(wait=_POLL_SECONDS)

    async def read_on(self, wait: int = 0) -> None:
        query = {"after": len(self.log), "wait": wait}
        async with self._http.get(f"{self.url}/effects", params=query) as answer:
            for effect in await answer.json():
                self.log.append(Effect(**effect))
                self.evidence.add(self.log[-1])

    # --- people -------------------------------------------------------------------------------------------------

    async def person(self) -> Person:
        name = f"p{next(self._people)}"
        return Person(name, (await self._post("/phones", {"label": name}))["id"])

    async def writes(self, person: Person, kind: str = "") -> str:
        """Write a message of a kind (plain, `task`, `long`), without waiting for its delivery. Returns its token."""
        token, text = person.wish(kind)
        await self._post(f"/phones/{person.phone}/messages", {"text": text})
        return token

    async def taps(self, person: Person, message: str, choice: str) -> None:
        """Tap a button of a received message, without waiting for the delivery."""
        await self._post(f"/phones/{person.phone}/taps", {"message": message, "choice": choice})

    async def write_together(self, wishes: Iterable[tuple[Person, str]]) -> None:
        """Write messages of one or several people, each of a kind, in one POST."""
        messages = [{"phone": person.phone, "text": person.wish(kind)[1]} for person, kind in wishes]
        await self.control("whatsapp", "together", messages=messages)

    async def connect(self, people: Iterable[Person], timeout: float = 60) -> None:
        """Let people connect their Asana with the button in the chat."""
        phones = {person.phone for person in people}
        # On a busy machine a database may be unavailable for a moment; the person then asks again.
        while unlinked := phones - self._told("Please connect Asana"):
            await self._ask_to_connect(unlinked, timeout)
        for number, phone in enumerate(phones):
            async with a_browser(f"198.18.0.{number}") as browser:
                code = await browser.follow(self._offered(phone))
            await self._post(f"/phones/{phone}/messages", {"text": code})
        await self.until(lambda: phones <= self._told("Asana is connected"), timeout)

    async def _ask_to_connect(self, phones: set[str], timeout: float) -> None:
        known = len(self.log)
        for phone in phones:
            await self._post(f"/phones/{phone}/messages", {"text": "connect my asana"})
        await self.until(lambda: phones <= self._told("", after=known), timeout)

    async def offered(self, person: Person, timeout: float = 30) -> str:
        """Wait for the link to connect the person's Asana, and return it."""
        await self.until(lambda: person.phone in self._told("Please connect Asana"), timeout)
        return self._offered(person.phone)

    async def says(self, person: Person, text: str) -> None:
        """Write a text without a token."""
        await self._post(f"/phones/{person.phone}/messages", {"text": text})

    def _offered(self, phone: str) -> str:
        """The newest link that was sent to this phone."""
        sends = (effect for effect in reversed(self.log) if (effect.kind, effect.person) == ("graph_send", phone))
        return str(next(effect.detail["link"] for effect in sends if "link" in effect.detail))

    def _told(self, words: str, *, after: int = 0) -> set[str]:
        """The phones that were sent a text with these words, according to the log beyond its line `after`."""
        sends = (effect for effect in self.log[after:] if effect.kind == "graph_send")
        return {effect.person for effect in sends if words in effect.detail["text"]}

    async def answered(self, *tokens: str, timeout: float = 30) -> None:
        """Wait until answers to all these tokens were sent completely."""
        await self.until(lambda: set(tokens) <= self.evidence.answered, timeout)

    async def settled(self, *people: Person, timeout: float = 30) -> None:
        """Wait until no more effects can come: after an answer to one more message of each, earlier work is done."""
        await self.answered(*[await self.writes(person) for person in people], timeout=timeout)
        await self.until(lambda: all(message.taken for message in self.evidence.messages.values()), timeout)

    # --- processes ----------------------------------------------------------------------------------------------

    async def kill(self, *processes: Process) -> None:
        for process in processes:
            await self.note("killed", process)
        await asyncio.gather(*(process.kill() for process in processes))

    async def restart(self, process: Process, **options: Any) -> None:
        await process.start(**options)
        await process.ready()
        await self.note("ready", process)

    async def freeze(self, process: Process) -> None:
        process.freeze()
        await self.note("frozen", process)

    async def resume(self, process: Process) -> None:
        await self.note("resumed", process)
        process.resume()

    async def _post(self, path: str, body: dict[str, Any]) -> Any:
        async with self._http.post(f"{self.url}{path}", json=body) as answer:
            if not answer.ok:
                raise RuntimeError(f"{path}: {answer.status} {await answer.text()}")
            return await answer.json()


def _beside(gateway: Process, listen: str, folder: Path) -> Process:
    settings = gateway.settings | {"GATEWAY_LISTEN": listen}
    return Process(gateway.service, settings, f"http://{listen}/healthz", folder / "other_gateway.log", gateway.times)


@dataclass(frozen=True, slots=True)
class Hold:
    """Calls to a vendor that are held."""

    system: System
    vendor: str
    number: int

    async def reached(self, timeout: float = 30) -> None:
        answer = await self.system.control(self.vendor, "reached", hold=self.number, timeout=timeout)
        if not answer["reached"]:
            raise TimeoutError(f"no call to {self.vendor} was held")

    async def release(self) -> None:
        await self.system.control(self.vendor, "release", hold=self.number)
