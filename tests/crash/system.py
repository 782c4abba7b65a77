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
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence
    from pathlib import Path

    from tests.crash.databases import Postgres
    from tests.crash.times import Times

TOKEN: Final = "whatsapp-token-of-the-crash-suite"
_KEYS: Final = f"test:{base64.b64encode(b'test'.ljust(32)).decode()}"
"""The encryption key of the tests' PostgreSQL template."""
_PATH: Final = {"PATH": os.environ["PATH"]}
_KEYS_OF_VENDORS: Final = {"OPENAI_API_KEY": "sk-emulated", "COMPOSIO_API_KEY": "ak_emulated"}
_WHATSAPP: Final = {
    "WHATSAPP_ACCESS_TOKEN": "emulated-access-token",
    "WHATSAPP_APP_SECRET": "emulated-app-secret",
    "WHATSAPP_VERIFY_TOKEN": "emulated-verify-token",
    "WHATSAPP_PHONE_NUMBER_ID": "106540352242922",
}
_POLL_SECONDS: Final = 5


@dataclass(slots=True)
class Person:
    """All tokens of the person begin with `name`; `phone` is their BSUID."""

    name: str
    phone: str
    written: count[int] = field(default_factory=lambda: count(1))

    def request(self, kind: str = "") -> tuple[str, str]:
        """The token and the text of a new message."""
        token = f"{self.name}m{next(self.written)}"
        return token, " ".join(filter(None, ("load", kind, token)))


class System:
    """`emulators` is never killed. `log` is the effect log as far as it was read, `evidence` its summary.

    `kernels` are the kernel services: the first `nodes` run from the start, the others only on request, as does
    `other_gateway`. If `both_receive`, webhooks go to both gateways in turn; else it only sends. `database_url` is the
    same for all kernel services, or one for each.
    """

    def __init__(
        self,
        folder: Path,
        database_url: str | Sequence[str],
        times: Times,
        settings: Settings,
        *,
        both_receive: bool = False,
        nodes: int = 1,
        spare_nodes: int = 0,
    ) -> None:
        listens = {name: f"127.0.0.1:{free_port()}" for name in ("emulators", "gateway", "other_gateway")}
        self.url = f"http://{listens['emulators']}"
        self.effects_file = folder / "effects.jsonl"
        self.log: list[Effect] = []
        self.evidence = Evidence()
        places = nodes + spare_nodes
        urls = [database_url] * places if isinstance(database_url, str) else database_url
        self.kernels = [self._a_kernel(folder, number, urls[number], settings, times) for number in range(places)]
        addresses = [kernel.settings["KERNEL_LISTEN"] for kernel in self.kernels]
        self.connect_url = f"http://{self.kernels[0].settings['CONNECT_LISTEN']}"
        receiving = [listens["gateway"], *[listens["other_gateway"]] * both_receive]
        emulators_settings = {
            "EMULATORS_LISTEN": listens["emulators"],
            "EMULATORS_WEBHOOK_URL": ",".join(f"http://{each}/webhook" for each in receiving),
            "EMULATORS_EFFECTS_FILE": str(self.effects_file),
            "KERNEL_ADDRESS": addresses[0],
        }
        gateway_settings = {
            "KERNEL_ADDRESS": f"dns:///{addresses[0]}" if len(addresses) == 1 else f"ipv4:{','.join(addresses)}",
            "KERNEL_TOKEN": TOKEN,
            "WHATSAPP_API_BASE_URL": f"{self.url}/graph",
        }
        self.emulators = Process(
            "emulators",
            _PATH | emulators_settings | _KEYS_OF_VENDORS | _WHATSAPP,
            f"{self.url}/effects",
            folder / "emulators.log",
            times,
        )
        self.gateway, self.other_gateway = (
            Process(
                "whatsapp_gateway",
                _PATH | gateway_settings | _WHATSAPP | {"GATEWAY_LISTEN": listens[name]},
                f"http://{listens[name]}/healthz",
                folder / f"{log}.log",
                times,
            )
            for name, log in (("gateway", "whatsapp_gateway"), ("other_gateway", "other_gateway"))
        )
        self._nodes = nodes
        self._people = count(1)

    def _a_kernel(self, folder: Path, number: int, database_url: str, settings: Settings, times: Times) -> Process:
        names = ("KERNEL_LISTEN", "KERNEL_METRICS_LISTEN", "CONNECT_LISTEN")
        listens = {name: f"127.0.0.1:{free_port()}" for name in names}
        own = {
            "CONNECT_TRUSTED_PROXIES": "127.0.0.1",
            "KERNEL_DATABASE_URL": database_url,
            "KERNEL_CHANNEL_TOKENS": f"whatsapp={TOKEN}",
            "KERNEL_ENCRYPTION_KEYS": _KEYS,
            "KERNEL_DEBOUNCE_SECONDS": "0",
            "KERNEL_SWEEP_SECONDS": "5",
            # A turn that checks whether a cut call was done is tainted by the tool's output, and no person here would
            # tap the approval button.
            "KERNEL_APPROVE_TOOLS": "!ASANA_CREATE_*",
            "OPENAI_BASE_URL": f"{self.url}/openai/v1",
            "COMPOSIO_BASE_URL": f"{self.url}/composio",
        }
        log = folder / (f"kernel_service_{number}.log" if number else "kernel_service.log")
        ready_url = f"http://{listens['KERNEL_METRICS_LISTEN']}/healthz"
        return Process("kernel_service", _PATH | own | listens | _KEYS_OF_VENDORS | settings, ready_url, log, times)

    @property
    def kernel(self) -> Process:
        """The first kernel service."""
        return self.kernels[0]

    @property
    def processes(self) -> tuple[Process, ...]:
        """Those that run from the start."""
        return self.emulators, *self.kernels[: self._nodes], self.gateway

    @asynccontextmanager
    async def running(self) -> AsyncIterator[System]:
        """Start them and wait until they are ready. At the end kill them all."""
        self._http = aiohttp.ClientSession()
        try:
            for process in self.processes:
                await process.start()
            await asyncio.gather(*(process.ready() for process in self.processes))
            await self.control("whatsapp", "patience", seconds=0.1)
            yield self
        finally:
            every = (self.emulators, *self.kernels, self.gateway, self.other_gateway)
            await asyncio.gather(*(process.kill() for process in every if process.begun))
            await self._http.close()

    # --- the emulators ------------------------------------------------------------------------------------------

    async def control(self, vendor: str, action: str, **body: Any) -> Any:
        return await self._post(f"/control/{vendor}/{action}", body)

    async def hold(self, vendor: str, *, after: bool = False, **match: str) -> Hold:
        answer = await self.control(vendor, "hold", match=match, after=after)
        return Hold(self, vendor, answer["hold"])

    async def note(self, kind: str, process: Process | Postgres, **detail: Any) -> None:
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
        token, text = person.request(kind)
        await self._post(f"/phones/{person.phone}/messages", {"text": text})
        return token

    async def taps(self, person: Person, message: str, choice: str) -> None:
        """Tap a button of a received message, without waiting for the delivery."""
        await self._post(f"/phones/{person.phone}/taps", {"message": message, "choice": choice})

    async def write_together(self, requests: Iterable[tuple[Person, str]]) -> None:
        """Write messages of one or several people, each of a kind, in one POST."""
        messages = [{"phone": person.phone, "text": person.request(kind)[1]} for person, kind in requests]
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

    async def speaks(self, person: Person, recording: bytes) -> None:
        """Send a voice message."""
        url, headers = f"{self.url}/phones/{person.phone}/files", {"X-Phones-Page": "1", "Content-Type": "audio/ogg"}
        async with self._http.post(url, params={"voice": "true"}, data=recording, headers=headers) as answer:
            answer.raise_for_status()

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
