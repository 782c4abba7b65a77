"""The parts of triggers on the emulated Composio, whose events a test delivers by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import select, update

from kernel_service.connections.vendor_events import ComposioEvents
from kernel_service.ports.commands import Command
from kernel_service.ports.messages import MessageStatus, Notice, Reply
from kernel_service.ports.payloads import Triggered
from kernel_service.ports.tools import Person
from kernel_service.ports.triggers import TriggerLimits
from kernel_service.storage.inbox import own_messages
from kernel_service.storage.keys import damage
from kernel_service.storage.outbox import replies
from kernel_service.storage.schema import schema
from kernel_service.storage.sealing.ciphers import place
from kernel_service.tools.toolbox import KernelToolbox
from kernel_service.triggers.events import TriggerEvents
from kernel_service.triggers.remover import TriggerRemover
from kernel_service.triggers.teller import EventTeller
from kernel_service.triggers.triggers import Triggers
from tests.unit.composio.fakes import named

if TYPE_CHECKING:
    from emulators.composio.triggers import Trigger
    from kernel_service.ports.connections import Connection
    from kernel_service.ports.tools import ToolResult
    from kernel_service.storage.engine.engine import Tx
    from tests.unit.composio.fakes import World

BANK = {"query": "from:bank@bank.example"}
ASKED = "Tell me what the bank wants."


class Watch:
    def __init__(self, world: World, limits: TriggerLimits | None = None) -> None:
        self.world = world
        self.limits = limits or TriggerLimits()
        self.woken: list[str] = []
        self.room = 32
        store, clock = world.store.triggers, world.clock
        self.triggers = Triggers(world.composio.triggers, store, clock, self.limits)
        self.handler = TriggerEvents(store, world.connections, world.looked.append, clock, self.limits)
        self.events = ComposioEvents(
            world.vendor.events.secret,
            world.connections,
            self.handler.handle,
            self.handler.watched_for,
            self._route,
            world.looked.append,
            clock,
        )
        self.teller = EventTeller(store, self.woken.append, world.looked.append, clock, self.limits, lambda: self.room)
        self.remover = TriggerRemover(self.triggers, store, clock)
        self.toolbox = KernelToolbox(world.composio, world.connections, world.connect_links, triggers=self.triggers)

    async def connect(self, person_id: str, name: str = "") -> Connection:
        return await self.world.connect(person_id, "gmail", name)

    async def call(self, tool: str, person_id: str = "p_alice", **arguments: Any) -> ToolResult:
        person = Person(person_id, "test", "desk")
        return await named(await self.toolbox.tools_for(person), tool).call(person, arguments)

    async def set(self, person_id: str = "p_alice", request: str = ASKED, **config: Any) -> Trigger:
        """The vendor's trigger."""
        result = await self.call(
            "create_trigger", person_id, trigger="GMAIL_NEW_GMAIL_MESSAGE", config=config or BANK, request=request
        )
        assert result.ok, result.output
        return self.world.vendor.triggers[-1]

    def event(self, trigger: Trigger, number: int = 1, body: str = "", **changed: Any) -> dict[str, Any]:
        data = {"sender": "bank@bank.example", "subject": f"Notice {number}", "message_text": body or "Please call us."}
        return self.world.vendor.events.happened(trigger, data, **changed)

    async def deliver(self, event: dict[str, Any]) -> bool:
        """As the web page hands it on, signed."""
        raw = orjson.dumps(event)
        return await self.events.handle(self.world.vendor.events.headers(event["id"], raw), raw)

    async def pass_time(self, seconds: float) -> None:
        """Then the tick."""
        self.world.clock.now += seconds
        await self.teller.tick()

    @property
    def put(self) -> list[tuple[str, Triggered]]:
        """The messages about events, with their people."""
        message = schema.message
        rows = select(message).where(message.c.command == Command.TRIGGERED.value).order_by(message.c.seq)

        def read(tx: Tx) -> list[tuple[str, Triggered]]:
            found = []
            for row in tx.execute(rows).all():
                payload = damage.payload_of(tx, row.person_id, row.payload, place(message.c.payload, row.seq))
                assert payload is not None
                assert isinstance(payload.content, Triggered)
                found.append((row.person_id, payload.content))
            return found

        return self.world.stored(read)

    async def answer(self, *, told: bool = True) -> None:
        """All messages in the inboxes are answered. `told`: with a reply, and not with silence."""
        message, reply = schema.message, schema.reply
        opened = select(message).where(message.c.status == MessageStatus.ACCEPTED.value)

        def write(tx: Tx) -> None:
            for row in tx.execute(opened).all():
                turn_id = f"t{row.seq}"
                tx.execute(update(message).where(message.c.seq == row.seq).values(turn_id=turn_id, status="completed"))
                if told:
                    notice = Notice(Reply("News."), row.channel, row.address, at=row.accepted_at)
                    sent = update(reply).where(reply.c.id == replies.notify(tx, row.person_id, notice))
                    tx.execute(sent.values(turn_id=turn_id, state="sent"))

        await self.world.store.engine.write(write)

    async def write(self, person_id: str) -> None:
        """The person writes a message, which is answered."""
        now = self.world.clock()

        def put(tx: Tx) -> None:
            own_messages.put(
                tx,
                person_id,
                channel="test",
                address="desk",
                message_id=f"m{now}",
                content=Triggered(),  # it does not matter
                command=Command.NONE,
                now=now,
            )

        await self.world.store.engine.write(put)
        await self.answer()

    async def _route(self, _: str) -> tuple[str, str]:
        return "test", "desk"
