"""The story of the README, in a real Chromium, with both services restarted in the middle."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from selenium.webdriver.common.by import By

from tests.browser import in_a_browser, phones_page, shown, texts
from tests.integration.world import whole_world

if TYPE_CHECKING:
    from pathlib import Path

    from selenium import webdriver

pytestmark = in_a_browser

BUTTON = "[role=log][aria-label^={label}] a[href*='/link/lk_']"


def follow_the_button(driver: webdriver.Chrome) -> None:
    page = driver.current_window_handle
    driver.find_element(By.CSS_SELECTOR, BUTTON.format(label="Alice")).click()
    driver.switch_to.window(driver.window_handles[-1])
    driver.find_element(By.CSS_SELECTOR, "button[value=approve]").click()
    driver.close()
    driver.switch_to.window(page)


async def test_two_people_connect_and_see_what_is_theirs(tmp_path: Path) -> None:
    async with whole_world(tmp_path) as world, phones_page(tmp_path / "p", world.emulators.whatsapp.page_url) as page:
        await page.say("Alice", "my name is Alice")
        await page.say("Bob", "hello there")
        await page.see("an answer to Bob", lambda driver: any("“hello there”" in t for t in texts(driver, "Bob")))
        await page.say("Alice", "connect my asana")
        await page.see(
            "the button",
            lambda driver: driver.find_elements(By.CSS_SELECTOR, BUTTON.format(label="Alice")),
        )
        await page.do(follow_the_button)
        await page.see("the notice", lambda driver: "Asana is connected." in texts(driver, "Alice"))

        await world.stop_kernel()
        await world.start_kernel()
        await world.stop_gateway()
        await world.start_gateway()

        await page.say("Alice", "list my tasks")
        await page.see("her tasks", lambda driver: any("owner" in text for text in texts(driver, "Alice")))
        await page.say("Alice", "what is my name")
        await page.see("her name", lambda driver: "Your name is Alice." in texts(driver, "Alice"))
        await page.say("Bob", "list my tasks")
        await page.see(
            "his own link",
            lambda driver: driver.find_elements(By.CSS_SELECTOR, BUTTON.format(label="Bob")),
        )
        await page.see("what the system knows", lambda driver: len(shown(driver, "#people li")) == 2)
        seen = await page.do(lambda driver: (texts(driver, "Bob"), shown(driver, "#system")[0]))
        if picture := os.environ.get("STORY_PICTURE"):  # the README's: where to put it
            await page.do(lambda driver: driver.save_screenshot(picture))
    assert not any("owner" in text or "Alice" in text for text in seen[0])
    assert "asana" in seen[1].lower()
