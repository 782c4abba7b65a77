"""Files sent on the phones page in a real Chromium are answered from their content, through both services."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from tests.browser import in_a_browser, phones_page, texts
from tests.integration.files import digest, pdf, png
from tests.integration.files import shown as shown_to_model
from tests.integration.world import whole_world

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = in_a_browser

PLAYED = """
const told = arguments[0];
(async () => {
  const sound = await (await fetch(document.querySelector("audio.player").src)).arrayBuffer();
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", sound));
  told([sound.byteLength, [...digest].map((each) => each.toString(16).padStart(2, "0")).join("")]);
})();
"""
"""The size and SHA-256 of the voice note that is in the chat."""


async def test_a_photo_a_paper_and_a_voice_note_are_answered_from_their_content(tmp_path: Path) -> None:
    photo, paper = png(shade=150, side=120), pdf("Rent for May: 900 EUR")
    (tmp_path / "leaf.png").write_bytes(photo)
    (tmp_path / "bill.pdf").write_bytes(paper)
    async with whole_world(tmp_path) as world, phones_page(tmp_path / "p", world.emulators.whatsapp.page_url) as page:
        await page.send_file("Alice", tmp_path / "leaf.png", "What plant is this?")
        seen = f"image/png, {digest(photo)}"
        await page.see("what is on the photo", lambda driver: seen in texts(driver, "Alice")[-1])
        assert "What plant is this?" in (await page.do(lambda driver: texts(driver, "Alice")))[-1]

        await page.send_file("Bob", tmp_path / "bill.pdf", "How much is it?")
        read = f"bill.pdf: application/pdf, {digest(paper)}, begins “Rent for May: 900 EUR”"
        await page.see("what is in the paper", lambda driver: read in texts(driver, "Bob")[-1])
        assert "How much is it?" in (await page.do(lambda driver: texts(driver, "Bob")))[-1]

        await page.record("Alice")
        await page.see("the answer", lambda driver: "(voice) A recording of" in texts(driver, "Alice")[-1])
        size, sha256 = await page.do(lambda driver: driver.execute_async_script(PLAYED))
        assert size > 1000
        assert f"{size} bytes, sha256 {sha256[:16]}" in (await page.do(lambda driver: texts(driver, "Alice")))[-1]
    sent = {hashlib.sha256(photo).hexdigest(), hashlib.sha256(paper).hexdigest(), sha256}
    assert set(shown_to_model(world)) == sent
