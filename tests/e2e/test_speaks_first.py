"""An assistant that speaks first, on the phones page in a real Chromium: a reminder as time passes, and a mail."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.browser import in_a_browser, phones_page, shown, texts
from tests.connect_browser import a_browser
from tests.integration.world import whole_world

if TYPE_CHECKING:
    from pathlib import Path

    from tests.browser import Browser
    from tests.integration.world import World

pytestmark = in_a_browser

DAY = 86_400.0
NOON = DAY / 2
CHOICES = "[role=log][aria-label^=Alice] .message:last-child button.action"
PLANNED = ".plan.remind .plan-what"


async def test_a_reminder_and_a_mail(tmp_path: Path) -> None:
    """Two shows in one Chromium."""
    async with whole_world(tmp_path, composio_webhook_secret="emulated-webhook-secret") as world:
        world.emulators.composio.events.url = f"{world.connect_url}/connect/events"
        world.pass_time((NOON - world.now()) % DAY)  # at noon, 9 o'clock of the next day is within 24 hours
        async with phones_page(tmp_path / "p", world.emulators.whatsapp.page_url) as page:
            await a_reminder_comes_as_time_passes_and_its_button_stops_it(page)
            await a_mail_is_told_once_and_its_order_waits_for_a_button(world, page)


async def a_reminder_comes_as_time_passes_and_its_button_stops_it(page: Browser) -> None:
    await page.say("Alice", "remind me tomorrow at 9 to call Ada")
    await last(page, "In which city are you?")
    await page.say("Alice", "I'm in Berlin")
    await last(page, "at 09:00, Berlin time.")
    await page.say("Alice", "every day at 10 remind me to drink water")
    await last(page, "Every day at 10:00, Berlin time; next: tomorrow")
    await page.see("both", lambda driver: shown(driver, PLANNED) == ["Call Ada", "Drink water"])
    await page.press("#clock-next")
    await last(page, "Call Ada")
    await page.press(CHOICES)
    await last(page, "“Call Ada” does not come again.")
    await page.see("the other one", lambda driver: shown(driver, PLANNED) == ["Drink water"])
    await page.press("#clock-next")
    await last(page, "Drink water")
    assert "Stop" in " ".join(await page.do(lambda driver: shown(driver, CHOICES)))
    await page.press(CHOICES)
    await last(page, "“Drink water” does not come again.")
    await page.see("none", lambda driver: not shown(driver, PLANNED))
    await page.press("#clock [data-seconds='86400']")
    await page.say("Alice", "what reminders do I have")
    await last(page, "You have no reminders.")
    assert (await page.do(lambda driver: texts(driver, "Alice"))).count("Drink water") == 1


async def a_mail_is_told_once_and_its_order_waits_for_a_button(world: World, page: Browser) -> None:
    alice = next(phone for phone in world.emulators.whatsapp.phones if phone.label == "Alice")
    await page.say("Alice", "connect my gmail")
    await last(page, "with the button")
    link = alice.received[-1].link
    assert link is not None
    async with a_browser() as browser:
        await page.say("Alice", await browser.follow(link.url))
    await last(page, "Gmail is connected.")
    await page.say("Alice", "tell me when a mail from the bank arrives")
    await last(page, "I will tell you")
    await page.see("the trigger", lambda driver: "from:bank" in shown(driver, ".plan small"))
    world.emulators.composio.events.copies = 2
    await page.press(".mail")
    await page.press("#mail-dialog .strong")
    await world.emulators.effects.wait_for(lambda effect: effect.kind == "event_delivered")
    await page.press("#clock [data-seconds='600']")
    await page.see("the question", lambda driver: shown(driver, CHOICES) == ["Approve", "Refuse"])
    told = await page.do(lambda driver: texts(driver, "Alice"))
    assert (
        len(
            [text for text in told if "A mail from notices@bank.example has arrived: “Your statement is ready”" in text]
        )
        == 1
    )
    assert "refunds@helpdesk.example" in told[-1]
    place = world.emulators.composio.workplace_of(await world.person_of(alice))
    assert place.sent == []
    await page.press("#clock [data-seconds='86400']")  # the approval ends, and events are not told again
    await page.say("Alice", "what do you know about me")
    await last(page, "Europe/Berlin")
    told = await page.do(lambda driver: texts(driver, "Alice"))
    assert len([text for text in told if "“Your statement is ready”" in text]) == 1
    assert place.sent == []


async def last(page: Browser, words: str) -> None:
    """Wait until the newest message on Alice's phone has these words."""
    await page.see(words, lambda driver: words in (texts(driver, "Alice") or [""])[-1])
    if folder := os.environ.get("STORY_PICTURES"):
        await page.do(lambda driver: driver.save_screenshot(f"{folder}/{words.replace(' ', '-')[:30]}.png"))
