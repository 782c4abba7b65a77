"""People with the same name, at random: nothing of one ever reaches another."""

from __future__ import annotations

import asyncio
import random
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from kernel_service.connections.tokens import digest
from kernel_service.ports.connect_attempts import ConnectAttemptKey
from tests.connect_browser import a_browser
from tests.integration.world import whole_world

if TYPE_CHECKING:
    from emulators.whatsapp.phones import Phone
    from tests.integration.world import World

DEEDS = ("say", "connect", "tasks", "recall", "evict")


async def do(world: World, phone: Phone, deed: str, number: int) -> None:
    """One random action of one person, and a check that the answer contains only their data."""
    if deed == "evict":
        if phone.messages:
            await world.evict(phone)
        return
    words = {
        "say": f"secret-{phone.label}-{number}",
        "connect": "connect my asana",
        "tasks": "list my tasks",
        "recall": "what did I say",
    }[deed]
    answer = await world.ask(phone, words)
    if deed == "connect" and answer.link is not None:
        async with a_browser(serves=world.kernel_serves) as browser:
            code = await browser.follow(answer.link.url)
        await phone.send(code)
        await phone.wait_for_message(lambda message: "is connected" in message.text, timeout=60)


async def check(world: World, phones: list[Phone]) -> None:
    """Check the owner of every bubble, link and request."""
    composio = world.emulators.composio
    persons = {phone.label: await world.person_of(phone) for phone in phones if phone.messages}
    assert len(set(persons.values())) == len(persons)
    for phone in phones:
        shown = "\n".join(message.text for message in phone.received)
        for message in phone.received:
            if message.link is not None:
                nonce = message.link.url.rpartition("/")[2]
                attempt = await world.kernel.store.connect_attempts.find(ConnectAttemptKey.LINK, digest(nonce))
                assert attempt is not None
                assert attempt.person_id == persons[phone.label]
        for other in phones:
            if other is phone:
                continue
            assert f"secret-{other.label}-" not in shown
            if other.label in persons:
                assert not any(task.name in shown for task in composio.tasks_of(persons[other.label]))
    owners = {session.user_id for session in composio.sessions}
    assert owners <= set(persons.values())
    assert world.emulators.effects.all("foreign_content") == []


# Not shrunk: one example is a whole world with restarts, and the deeds are short enough to read.
@settings(
    max_examples=6, deadline=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck)
)
@example([(1, "tasks"), (1, "restart"), (1, "connect"), (0, "connect"), (0, "tasks"), (1, "tasks")])
@given(st.lists(st.tuples(st.sampled_from([0, 1]), st.sampled_from((*DEEDS, "restart"))), min_size=4, max_size=10))
def test_two_people_of_one_name(deeds: list[tuple[int, str]]) -> None:
    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with whole_world(Path(folder)) as world:
                phones = [world.phone("Alice", name="Sam Smith"), world.phone("Bob", name="Sam Smith")]
                for number, (who, deed) in enumerate(deeds):
                    if deed == "restart":
                        await world.stop_kernel()
                        await world.start_kernel()
                    else:
                        await do(world, phones[who], deed, number)
                await check(world, phones)

    asyncio.run(run())


async def test_two_hundred_people_of_one_name(world: World) -> None:
    """All act concurrently and at random (with a fixed seed), while both services restart."""
    phones = [world.phone(f"n{number}x", name="Sam Smith") for number in range(200)]
    chance = random.Random(7)

    async def live(phone: Phone, deeds: list[str]) -> None:
        for number, deed in enumerate(deeds):
            await do(world, phone, deed, number)

    async def restart() -> None:
        sent = world.emulators.effects
        await sent.wait_for(lambda _: len(sent.all("graph_send")) >= 100, timeout=60)
        await world.stop_kernel()
        await world.start_kernel()
        await sent.wait_for(lambda _: len(sent.all("graph_send")) >= 200, timeout=60)
        await world.stop_gateway()
        await world.start_gateway()

    lives = [live(phone, ["say", *chance.choices(DEEDS, k=2), "recall"]) for phone in phones]
    await asyncio.gather(restart(), *lives)
    await check(world, phones)
