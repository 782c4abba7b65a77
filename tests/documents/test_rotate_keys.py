"""The steps of the page, with a kernel service that restarts where the page says so."""

from pathlib import Path

from tests.documents.operator import settings, told
from tests.documents.page import Page
from tests.documents.shell import printed
from tests.documents.words import assert_shown
from tests.integration.world import whole_world
from tests.migrated_sqlite import KEYS


async def test_the_page(tmp_path: Path) -> None:
    with Page("docs/how-to/rotate-keys.md") as page:
        made = printed(page.take("sh"), tmp_path)
        ours = {"k1:<the old one>": KEYS, "k2:<the new one>": made.strip()}

        def keys() -> str:
            value = settings(page.take("ini"))["kernel_encryption_keys"]
            return ",".join(ours[each] for each in value.split(","))

        async with whole_world(tmp_path, kernel_encryption_keys=ours["k1:<the old one>"]) as world:
            for number in range(3):
                await world.tell(f"telegram:{number}", "good news", "m")
            for _ in ("behind", "before"):
                await world.stop_kernel()
                world.settings["kernel_encryption_keys"] = keys()
                await world.start_kernel()
            listing = page.take("sh")
            assert_shown(page.take("text"), await told(world, listing))
            rotating = page.take("sh")
            assert_shown(page.take("text"), await told(world, rotating))
            assert "may be removed" in await told(world, listing)
            await world.stop_kernel()
            world.settings["kernel_encryption_keys"] = keys()
            await world.start_kernel()
            assert "message 2 of our chat" in (await world.tell("telegram:0", "good news", "m2")).replies[0].text
