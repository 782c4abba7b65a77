"""A real store, a clock that tests move, and the parts wired as the service wires them."""

from __future__ import annotations

import os
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

import pytest
from sqlalchemy import insert, select

from kernel_service.composio.client import Composio
from kernel_service.connections.accounts import Connections
from kernel_service.connections.attempt_closer import AttemptCloser
from kernel_service.connections.confirmation import CodeConfirmation
from kernel_service.connections.consent import Consent, PageKind
from kernel_service.connections.links import ConnectLinks
from kernel_service.connections.tokens import Nonces
from kernel_service.connections.unmatched_sessions import UnmatchedSessions
from kernel_service.ports.tools import Person
from kernel_service.storage.engine.engine import wrap_data_key
from kernel_service.storage.outbox import replies
from kernel_service.storage.schema import schema
from kernel_service.storage.sealing.ciphers import KEY_BYTES
from kernel_service.tools.toolbox import KernelToolbox
from tests.unlimited_queue import unlimited_queue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from emulators.app import Emulators
    from kernel_service.connections.consent import PageView
    from kernel_service.ports.connections import Connection
    from kernel_service.ports.resuming import Confirmed
    from kernel_service.ports.tools import Tool
    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.store import Store
    from tests.clock import Clock

T = TypeVar("T")
KEY = "ak_emulated"
CONNECT_URL = "https://connect.example"
NONCES = Nonces(b"a key of the tests")


@dataclass
class World:
    """Everything below the toolbox, on the emulated Composio."""

    def __init__(self, emulators: Emulators, clock: Clock, store: Store) -> None:
        self.vendor = emulators.composio
        self.effects = emulators.effects
        self.clock = clock
        self.store = store
        self.looked: list[str] = []
        """The channels that were called to look into the outbox."""
        self.verifier = False
        self._open: list[Composio] = []
        self.composio = self.client()
        self.restart()

    def client(self, key: str = KEY, *, execute_timeout: float = 5.0, timeout: float = 5.0, **more: Any) -> Composio:
        client = Composio(
            key,
            self.vendor.base_url,
            queue=unlimited_queue("tools"),
            clock=self.clock,
            timeout=timeout,
            execute_timeout=execute_timeout,
            **more,
        )
        self._open.append(client)
        return client

    def another_node(self) -> World:
        """The same vendor and the same store, behind other objects."""
        other = copy(self)
        other.restart()
        return other

    def restart(self, *toolkits: str) -> None:
        """New objects on the same store."""
        self.connections = Connections(self.composio, self.store.connections, self.store.sessions, toolkits)
        parts = self.composio, self.connections, self.store.connect_attempts
        self.attempt_closer = AttemptCloser(
            self.store.connect_attempts, self.store.connections, self.connections, self.looked.append, self.clock
        )
        self.connect_links = ConnectLinks(
            *parts, self.attempt_closer, connect_url=CONNECT_URL, nonces=NONCES, clock=self.clock
        )
        self.consent = Consent(
            *parts,
            UnmatchedSessions(self.store.unmatched_sessions, self.clock),
            self.attempt_closer,
            connect_url=CONNECT_URL,
            nonces=NONCES,
            clock=self.clock,
            verifier=self.verifier,
            sleep=self._sleep,
        )
        self.confirmation = CodeConfirmation(
            *parts, self.store.people, self.attempt_closer, self.clock, sleep=self._sleep
        )

    def set_verifier(self, *, vendor: bool = True, ours: bool = True) -> None:
        """Turn it on at the vendor, and in our settings."""
        self.vendor.set_verifier(f"{CONNECT_URL}/connect/verify" if vendor else None)
        self.verifier = ours
        self.restart()

    def toolbox(self, *own: Tool, most_direct: int = 30) -> KernelToolbox:
        return KernelToolbox(self.composio, self.connections, self.connect_links, own, most_direct=most_direct)

    # --- people and their accounts

    async def person(self, person_id: str) -> None:
        """Store a person with a separate data key."""

        def add(tx: Tx) -> None:
            key = wrap_data_key(tx.keyring.master_keys, person_id, os.urandom(KEY_BYTES))
            tx.execute(insert(schema.person), {"id": person_id, "created_at": self.clock(), **key})
            tx.execute(insert(schema.kernel), {"person_id": person_id})

        await self.store.engine.write(add)

    async def connect(self, person_id: str, toolkit: str = "asana", name: str = "") -> Connection:
        """All the way: link, consent, code."""
        await self.confirm(person_id, await self.code(person_id, toolkit, name=name))
        self.clock.now += 1
        return (await self.connections.active(person_id, toolkit))[-1]

    async def confirm(self, person_id: str, code: str, seq: int = 1, *, at: float | None = None) -> Confirmed:
        """The person sends the code in their chat, now or at another time."""
        sent = self.clock() if at is None else at
        return await self.confirmation.confirm(Person(person_id, "test", "desk"), code, seq, at=sent)

    async def code(self, person_id: str, toolkit: str = "asana", browser: str = "browser", name: str = "") -> str:
        """As far as the code, in that browser."""
        back = self.vendor.approve(await self.start(person_id, toolkit, browser, name))
        seen = await self.come_back(back, browser)
        assert seen.kind is PageKind.CODE
        assert seen.attempt is not None
        return seen.attempt.code

    async def start(self, person_id: str, toolkit: str = "asana", browser: str = "browser", name: str = "") -> str:
        """As far as the vendor's link."""
        offer = await self.connect_links.link(Person(person_id, "test", "desk"), toolkit, name)
        seen = await self.consent.start(nonce_of(offer.link.url), browser)
        assert seen.kind is PageKind.REDIRECT
        return seen.url

    async def come_back(self, url: str, browser: str = "browser") -> PageView:
        """The browser, at the address that the vendor sent it to."""
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query))
        if "session_uri" in query:
            return await self.consent.verified(query["session_uri"], browser, admitted)
        return await self.consent.returned(nonce_of(url), query.get("connected_account_id", ""), browser)

    def count(self, kind: str, person_id: str | None = None) -> int:
        return len(self.effects.all(kind, person=person_id))

    def requests(self, path: str) -> int:
        return len([call for call in self.vendor.requests if path in call.path])

    async def close(self) -> None:
        for part in reversed(self._open):
            await part.close()

    async def _sleep(self, seconds: float) -> None:
        self.clock.now += seconds

    @property
    def told(self) -> list[tuple[str, str]]:
        """The messages in the outbox with their recipients, oldest first."""
        rows = select(schema.reply).order_by(schema.reply.c.seq)
        return self.stored(
            lambda tx: [(row.person_id, replies.opened(tx, row).reply.text) for row in tx.execute(rows).all()]
        )

    def stored(self, read: Callable[[Tx], T]) -> T:
        """Read the store now, for assertions that cannot await."""
        engine: Any = self.store.engine
        found: T = engine._readers.submit(engine._read, read).result()
        return found


class Died(BaseException):
    """The process has died: no code may catch this and continue."""


@contextmanager
def killed_after(port: object, name: str) -> Iterator[None]:
    """The block's process is killed when this method of a port of the store has committed."""
    method = getattr(port, name)

    async def last(*arguments: Any, **named: Any) -> None:
        await method(*arguments, **named)
        raise Died

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(port, name, last)
        with pytest.raises(Died):
            yield


async def admitted() -> bool:
    """Admits every client."""
    return True


def nonce_of(url: str) -> str:
    return urlsplit(url).path.rpartition("/")[2]


def named(tools: Sequence[Tool], name: str) -> Tool:
    return next(tool for tool in tools if tool.schema.name == name)
