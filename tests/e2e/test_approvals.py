"""A deletion that needs approval, approved with the buttons of the phones page in a real Chromium."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from selenium.webdriver.common.by import By

from tests.browser import in_a_browser, phones_page, texts
from tests.integration.test_conversation import connect
from tests.integration.world import whole_world

if TYPE_CHECKING:
    from pathlib import Path

    from selenium import webdriver

pytestmark = in_a_browser

BUTTONS = "[role=log][aria-label^=Alice] button.action"


def tap(driver: webdriver.Chrome, title: str) -> None:
    if folder := os.environ.get("STORY_PICTURES"):
        driver.save_screenshot(f"{folder}/approval.png")
    next(each for each in driver.find_elements(By.CSS_SELECTOR, BUTTONS) if each.text == title).click()


async def test_a_task_is_deleted_once_its_person_has_tapped(tmp_path: Path) -> None:
    async with whole_world(tmp_path) as world, phones_page(tmp_path / "p", world.emulators.whatsapp.page_url) as page:
        alice = next(phone for phone in world.emulators.whatsapp.phones if phone.label == "Alice")
        await connect(world, alice)
        person = await world.person_of(alice)
        task = world.emulators.composio.tasks_of(person)[0].name
        await page.say("Alice", f"delete the task {task}")
        await page.see("the buttons", lambda driver: len(driver.find_elements(By.CSS_SELECTOR, BUTTONS)) == 2)
        assert task in [each.name for each in world.emulators.composio.tasks_of(person)], "nothing was done yet"
        await page.do(lambda driver: tap(driver, "Approve"))
        await page.see("that it is done", lambda driver: texts(driver, "Alice")[-2:] == ["Approve", "Done."])
        assert task not in [each.name for each in world.emulators.composio.tasks_of(person)]
