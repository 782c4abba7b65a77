"""Files sent on the phones page in a real Chromium are answered from their content, through both services."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from tests.browser import in_a_browser, phones_page, shown, texts
from tests.integration.files import digest, pdf, png
from tests.integration.files import shown as shown_to_model
from tests.integration.tools import BILL
from tests.integration.world import whole_world

if TYPE_CHECKING:
    from pathlib import Path

    from selenium import webdriver

pytestmark = in_a_browser

DIGEST = """
const [found, told] = arguments;
(async () => {
  const element = document.querySelector(found);
  const file = await (await fetch(element.src ?? element.href)).arrayBuffer();
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", file));
  told([file.byteLength, [...digest].map((each) => each.toString(16).padStart(2, "0")).join("")]);
})();
"""
"""The size and SHA-256 of the file that an element of the page shows."""


def last(driver: webdriver.Chrome, label: str) -> str:
    return (texts(driver, label) or [""])[-1]


async def test_a_photo_a_paper_and_a_voice_note_are_answered_from_their_content(tmp_path: Path) -> None:
    photo, paper = png(shade=150, side=120), pdf("Rent for May: 900 EUR")
    (tmp_path / "leaf.png").write_bytes(photo)
    (tmp_path / "bill.pdf").write_bytes(paper)
    async with whole_world(tmp_path) as world, phones_page(tmp_path / "p", world.emulators.whatsapp.page_url) as page:
        await page.send_file("Alice", tmp_path / "leaf.png", "What plant is this?")
        seen = f"image/png, {digest(photo)}"
        await page.see("what is on the photo", lambda driver: seen in last(driver, "Alice"))
        assert "What plant is this?" in await page.do(lambda driver: last(driver, "Alice"))

        await page.send_file("Bob", tmp_path / "bill.pdf", "How much is it?")
        read = f"bill.pdf: application/pdf, {digest(paper)}, begins “Rent for May: 900 EUR”"
        await page.see("what is in the paper", lambda driver: read in last(driver, "Bob"))
        assert "How much is it?" in await page.do(lambda driver: last(driver, "Bob"))

        await page.record("Alice")
        await page.see("the answer", lambda driver: "(voice) A recording of" in last(driver, "Alice"))
        size, sha256 = await page.do(lambda driver: driver.execute_async_script(DIGEST, "audio.player"))
        assert size > 1000
        assert f"{size} bytes, sha256 {sha256[:16]}" in await page.do(lambda driver: last(driver, "Alice"))
    sent = {hashlib.sha256(photo).hexdigest(), hashlib.sha256(paper).hexdigest(), sha256}
    assert set(shown_to_model(world)) == sent


WIDTHS = "return [...document.querySelectorAll('img.picture')].map((each) => each.naturalWidth)"


async def test_a_file_made_by_a_tool_is_shown_on_the_phone(tmp_path: Path) -> None:
    tools = "tests.integration.tools:TOOLS"
    async with (
        whole_world(tmp_path, kernel_tools=tools) as world,
        phones_page(tmp_path / "p", world.emulators.whatsapp.page_url) as page,
    ):
        # The write comes first: after the output of any tool, it would need an approval.
        await page.say("Alice", "use make_papers")
        await page.see("the bill", lambda driver: shown(driver, "a.file") == ["bill.pdf"])
        _, fetched = await page.do(lambda driver: driver.execute_async_script(DIGEST, "a.file"))
        await page.say("Alice", "use draw_chart")
        await page.see("the chart", lambda driver: driver.execute_script(WIDTHS) == [90])
        assert "The chart is drawn." in await page.do(lambda driver: last(driver, "Alice"))
    assert fetched == hashlib.sha256(BILL).hexdigest()
