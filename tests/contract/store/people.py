"""Steps that the tests of linking and merging repeat: people who write, connect, and have turns."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from kernel_service.connections.tokens import digest
from kernel_service.ports.connect_attempts import ConnectAttempt, ConnectAttemptState
from kernel_service.ports.connections import Connection, ConnectionStatus
from kernel_service.ports.messages import Alias, Message, Reply, ReplyMode, Usage
from kernel_service.ports.payloads import Payload, Text
from kernel_service.ports.turns import HistoryItem, Turn, TurnStatus
from tests.contract.store.outbox import pull
from tests.contract.store.owner import history as items_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.ports.inbox import Accepted
    from kernel_service.storage.store import Store

NOW = 1_800_000_000.0
ADDRESS = "desk"
LINK = "https://connect.example.org/link/lk_1"
_numbers = count(1)


def strong(name: str, scope: str = "") -> Alias:
    return Alias(f"test:{name}", scope=scope)


def weak(name: str, scope: str = "") -> Alias:
    return Alias(f"test:{name}", strong=False, scope=scope)


async def write(
    store: Store, *ids: Alias, text: str = "hello", now: float = NOW, mode: ReplyMode = ReplyMode.OUTBOX
) -> Accepted:
    """One new message under these ids, the first of them its user id."""
    message = Message(
        ids[0].user_id, f"m{next(_numbers)}", Payload(Text(text)), aliases=ids, address=ADDRESS, reply_mode=mode
    )
    return await store.inbox.accept(message, now=now, max_pending=100)


async def person(store: Store, *ids: Alias, now: float = NOW) -> str:
    """A new person, who has written once and was answered."""
    accepted = await write(store, *ids, now=now)
    await answer(store, accepted.person_id, now=now)
    return accepted.person_id


async def answer(store: Store, person_id: str, text: str = "", *, now: float = NOW, **waits: Any) -> None:
    """Answer all waiting messages in one turn; `text` is sent by the outbox."""
    owner = await Owner.of(store, person_id)
    turn = await owner.open(now)
    items = [HistoryItem("input", {"said": message.payload.text}) for message in turn.messages]
    said = HistoryItem("output", {"said": text}, "test:model")
    await owner.end(turn, *items, said, replies=[text] if text else [], **waits)


async def connect(store: Store, person_id: str, status: ConnectionStatus = ConnectionStatus.ACTIVE) -> Connection:
    number = next(_numbers)
    pending = status is ConnectionStatus.PENDING
    made = Connection(
        id=f"cn_{number}",
        person_id=person_id,
        toolkit="asana",
        toolkit_name="Asana",
        account_id=f"ca_{number}",
        status=status,
        link=LINK if pending else "",
        created_at=NOW + number,
        confirmed_at=None if pending else NOW,
    )
    await store.connect_attempts.add(attempt(made), now=made.created_at)
    return made


def attempt(connection: Connection) -> ConnectAttempt:
    """The progress of an attempt whose connection has this status."""
    states = {
        ConnectionStatus.PENDING: ConnectAttemptState.STARTED,
        ConnectionStatus.UNCONFIRMED: ConnectAttemptState.RETURNED,
    }
    return ConnectAttempt(
        connection,
        channel="test",
        address=ADDRESS,
        state=states.get(connection.status, ConnectAttemptState.CONNECTED),
        deadline=NOW + 600,
        link_digest=digest(connection.id),
        return_digest=digest(f"return {connection.id}"),
        code_digest=digest(f"code {connection.id}"),
        code="BCDF-GHJK",
    )


def unfollowed(connection_id: str, toolkit: str, person_id: str) -> ConnectAttempt:
    """An attempt with an unfollowed link."""
    connection = Connection(connection_id, person_id, toolkit, toolkit, "", ConnectionStatus.PENDING, LINK, NOW)
    return ConnectAttempt(
        connection, "test", ADDRESS, ConnectAttemptState.OPEN, NOW + 600, link_digest=digest(connection_id)
    )


async def history(store: Store, person_id: str) -> list[Any]:
    """The messages of both sides, oldest first."""
    return [item.data["said"] for item in await items_of(store, person_id)]


async def recipients(store: Store, *, now: float = NOW) -> list[tuple[str, str]]:
    """The current recipients of pending replies."""
    leases = await pull(store, limit=100, seconds=30, now=now)
    return [(lease.reply.reply.text, lease.user_id) for lease in leases]


class Owner:
    """A process that owns a person's kernel."""

    def __init__(self, store: Store, person_id: str, epoch: int) -> None:
        self.store, self.person_id, self.epoch = store, person_id, epoch

    @classmethod
    async def of(cls, store: Store, person_id: str) -> Owner:
        return cls(store, person_id, (await store.kernels.activate(person_id, owner="one")).epoch)

    async def open(self, now: float = NOW) -> Turn:
        turn = await self.store.turns.next_turn(self.person_id, self.epoch, now=now, debounce=0)
        assert isinstance(turn, Turn)
        return turn

    async def append(self, turn: Turn, *items: HistoryItem, usage: Usage | None = None, **more: Any) -> None:
        await self.store.turns.append(turn, self.epoch, items, usage=usage or Usage(), now=NOW, **more)

    async def end(
        self,
        turn: Turn,
        *items: HistoryItem,
        replies: Sequence[str] = ("done",),
        **waits: Any,
    ) -> None:
        told, status = [Reply(text) for text in replies], TurnStatus.COMPLETED
        await self.store.turns.end(turn, self.epoch, items, told, status=status, usage=Usage(), now=NOW, **waits)
