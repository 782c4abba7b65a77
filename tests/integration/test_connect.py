"""Connect and continue, over every wire: the link, the consent, the code, and the request that goes on by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.door import a_browser

if TYPE_CHECKING:
    from tests.integration.world import World


async def test_a_request_goes_on_once_its_account_is_connected(world: World) -> None:
    alice = world.phone("Alice")
    offer = await world.ask(alice, "create a task: Prepare the demo")
    assert offer.link is not None
    async with a_browser() as browser:
        code = await browser.follow(offer.link.url)
    assert code
    answer = await world.ask(alice, f"Connect {code}")
    assert answer.text.startswith("Asana is connected.\n\n")
    assert "Prepare the demo" in answer.text
    person = await world.person_of(alice)
    assert [task.name for task in world.emulators.composio.tasks_of(person)].count("Prepare the demo") == 1
    assert all(code not in str(call.body) for call in world.emulators.openai.requests)
