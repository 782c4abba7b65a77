"""One person's messages are submitted in sequence, whichever webhooks they came by."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from kernel_client.errors import KernelError
from whatsapp_gateway.inbound.intake import Intake
from whatsapp_gateway.metrics import Metrics
from whatsapp_gateway.model.updates import Alias, IdentityChange, LinkResult, Message, Sender, Text, Update


class Kernel:
    """Accepts an item once its person's gate opens, within the given time, unless it rejects the item."""

    def __init__(self) -> None:
        self.given: list[str] = []
        self.taken: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}
        self.refuses: dict[str, KernelError] = {}

    async def accept(self, message: Message, timeout: float) -> bool:
        text = cast("Text", message.content).body
        await self._pass(message.sender.user_id, text, timeout)
        return self.taken.count(text) > 1

    async def link(self, change: IdentityChange, timeout: float) -> LinkResult:
        await self._pass(change.current.user_id, change.id, timeout)
        return LinkResult.LINKED

    async def _pass(self, who: str, what: str, timeout: float) -> None:
        self.given.append(what)
        try:
            async with asyncio.timeout(timeout):
                await self.gates.setdefault(who, _open()).wait()
        except TimeoutError:
            raise KernelError("DEADLINE_EXCEEDED") from None
        if refusal := self.refuses.pop(what, None):
            raise refusal
        self.taken.append(what)


def _open() -> asyncio.Event:
    gate = asyncio.Event()
    gate.set()
    return gate


class Deaf:
    """Side reports that do not matter here."""

    def __getattr__(self, _: str) -> Any:
        return lambda *_: None


class Gateway:
    def __init__(self, seconds: float = 30) -> None:
        self.kernel, self.metrics = Kernel(), Metrics()
        deaf = cast("Any", Deaf())
        self.intake = Intake(
            cast("Any", self.kernel),
            deaf,
            deaf,
            self.metrics,
            circuit_breaker=deaf,
            part_backoff=deaf,
            seconds=seconds,
        )

    def hold(self, who: str) -> asyncio.Event:
        self.kernel.gates[who] = asyncio.Event()
        return self.kernel.gates[who]

    async def webhook(self, *updates: Update) -> asyncio.Task[bool]:
        """Start to take one; it has progressed as far as it can when this returns."""
        taking = asyncio.create_task(self.intake.take(updates))
        for _ in range(10):
            await asyncio.sleep(0)
        return taking


@pytest.fixture
async def gateway() -> Gateway:
    return Gateway()


def says(who: str, *texts: str, weak: Sequence[str] = ()) -> list[Update]:
    aliases = (Alias(who, strong=True), *(Alias(number, strong=False) for number in weak))
    return [Message("1", f"wamid.{text}", Sender(who, aliases), Text(text)) for text in texts]


def becomes(before: str, after: str) -> IdentityChange:
    return IdentityChange(f"{before}->{after}", Alias(before, strong=True), Alias(after, strong=True))


async def test_messages_delayed_by_a_restart_are_submitted_in_their_order(gateway: Gateway) -> None:
    gate = gateway.hold("ann")
    taking = [await gateway.webhook(*says("ann", text)) for text in ("one", "two", "three", "four")]
    assert gateway.kernel.given == ["one"]
    gate.set()
    assert await asyncio.gather(*taking) == [True] * 4
    assert gateway.kernel.taken == ["one", "two", "three", "four"]
    assert len(gateway.intake._people) == 0


async def test_a_person_whose_call_hangs_blocks_no_other(gateway: Gateway) -> None:
    gateway.hold("ann")
    stuck = [await gateway.webhook(*says("ann", f"a{number}")) for number in range(300)]  # more calls than the limit
    assert await (await gateway.webhook(*says("bob", "hello")))
    assert gateway.kernel.given == ["a0", "hello"]
    gateway.kernel.gates["ann"].set()
    assert all(await asyncio.gather(*stuck))


async def test_ids_of_one_person_share_a_queue(gateway: Gateway) -> None:
    gate = gateway.hold("old")
    for updates in (
        says("old", "before"),
        [becomes("old", "new")],
        says("new", "after"),
        says("phone", "by number"),
        says("new", "both", weak=["phone"]),
        says("phone", "at last"),
    ):
        await gateway.webhook(*updates)
    assert gateway.kernel.given == ["before", "by number"]
    gate.set()
    await (await gateway.webhook(*says("phone", "end")))
    assert gateway.kernel.taken == ["by number", "before", "old->new", "after", "both", "at last", "end"]


async def test_an_item_whose_turn_comes_too_late_is_redelivered() -> None:
    gateway = Gateway(seconds=0.05)
    gate = gateway.hold("ann")
    first, second = [await gateway.webhook(*says("ann", text)) for text in ("one", "two")]
    assert not any(await asyncio.gather(first, second))
    assert "two" not in gateway.kernel.taken
    assert len(gateway.intake._people) == 0
    gate.set()
    assert await (await gateway.webhook(*says("ann", "one")))


async def test_an_item_to_redeliver_blocks_only_its_own_webhook(gateway: Gateway) -> None:
    """Another webhook may come much sooner, and the service orders messages by their times."""
    gate = gateway.hold("ann")
    gateway.kernel.refuses["one"] = KernelError("UNAVAILABLE")
    refused = await gateway.webhook(*says("ann", "one", "two"))
    later = await gateway.webhook(*says("ann", "three"))
    gate.set()
    assert (await refused, await later) == (False, True)
    assert gateway.kernel.taken == ["three"]
    assert await (await gateway.webhook(*says("ann", "one", "two")))
    assert gateway.kernel.taken == ["three", "one", "two"]


async def test_a_webhook_whose_client_disconnected_leaves_the_queue(gateway: Gateway) -> None:
    gate = gateway.hold("ann")
    first, gone, last = [await gateway.webhook(*says("ann", text)) for text in ("one", "two", "three")]
    gone.cancel()
    gate.set()
    assert all(await asyncio.gather(first, last))
    assert gateway.kernel.taken == ["one", "three"]
    assert len(gateway.intake._people) == 0
