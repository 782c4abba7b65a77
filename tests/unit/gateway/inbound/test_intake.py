"""One person's messages are handed over one after the other, whichever webhooks they came by."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from whatsapp_gateway.inbound.intake import Intake
from whatsapp_gateway.kernel.errors import KernelCallError
from whatsapp_gateway.metrics import Metrics
from whatsapp_gateway.model.updates import Alias, IdentityChange, LinkResult, Message, Sender, Text, Update


class Kernel:
    """Takes what it is given once the person's gate opens, within the time that it is given, unless it refuses."""

    def __init__(self) -> None:
        self.given: list[str] = []
        self.taken: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}
        self.refuses: dict[str, KernelCallError] = {}

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
            raise KernelCallError("DEADLINE_EXCEEDED") from None
        if refusal := self.refuses.pop(what, None):
            raise refusal
        self.taken.append(what)


def _open() -> asyncio.Event:
    gate = asyncio.Event()
    gate.set()
    return gate


class Deaf:
    """What is told beside, and of no interest here."""

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
        """Begin to take one; it has got as far as it gets by itself when this returns."""
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


async def test_what_a_restart_held_up_is_handed_over_in_its_order(gateway: Gateway) -> None:
    gate = gateway.hold("ann")
    taking = [await gateway.webhook(*says("ann", text)) for text in ("one", "two", "three", "four")]
    assert gateway.kernel.given == ["one"]
    gate.set()
    assert await asyncio.gather(*taking) == [True] * 4
    assert gateway.kernel.taken == ["one", "two", "three", "four"]
    assert len(gateway.intake._people) == 0


async def test_a_person_whose_call_is_stuck_holds_up_nobody_else(gateway: Gateway) -> None:
    gateway.hold("ann")
    stuck = [await gateway.webhook(*says("ann", f"a{number}")) for number in range(300)]  # more than calls at once
    assert await (await gateway.webhook(*says("bob", "hello")))
    assert gateway.kernel.given == ["a0", "hello"]
    gateway.kernel.gates["ann"].set()
    assert all(await asyncio.gather(*stuck))


async def test_ids_of_one_person_are_one_line(gateway: Gateway) -> None:
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


async def test_what_does_not_come_to_its_turn_in_time_is_asked_for_again() -> None:
    gateway = Gateway(seconds=0.05)
    gate = gateway.hold("ann")
    first, second = [await gateway.webhook(*says("ann", text)) for text in ("one", "two")]
    assert not any(await asyncio.gather(first, second))
    assert "two" not in gateway.kernel.taken
    assert len(gateway.intake._people) == 0
    gate.set()
    assert await (await gateway.webhook(*says("ann", "one")))


async def test_what_must_come_again_holds_up_its_own_webhook_alone(gateway: Gateway) -> None:
    """Another one may come much sooner, and the service knows the order by the times."""
    gate = gateway.hold("ann")
    gateway.kernel.refuses["one"] = KernelCallError("UNAVAILABLE")
    refused = await gateway.webhook(*says("ann", "one", "two"))
    later = await gateway.webhook(*says("ann", "three"))
    gate.set()
    assert (await refused, await later) == (False, True)
    assert gateway.kernel.taken == ["three"]
    assert await (await gateway.webhook(*says("ann", "one", "two")))
    assert gateway.kernel.taken == ["three", "one", "two"]


async def test_a_webhook_whose_caller_is_gone_leaves_its_place(gateway: Gateway) -> None:
    gate = gateway.hold("ann")
    first, gone, last = [await gateway.webhook(*says("ann", text)) for text in ("one", "two", "three")]
    gone.cancel()
    gate.set()
    assert all(await asyncio.gather(first, last))
    assert gateway.kernel.taken == ["one", "three"]
    assert len(gateway.intake._people) == 0
