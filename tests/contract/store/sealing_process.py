"""A process that seals the message ids of an earlier release, a row at a time, and reports each; the test kills it."""

from __future__ import annotations

import asyncio
import sys

from kernel_service.storage.keys import clear_ids
from kernel_service.storage.opening.open_store import open_store
from tests.contract.store.conftest import keys


async def main(url: str) -> None:
    store = await open_store(url, keys("test"))
    clear_ids.STEP = 1  # type: ignore[misc]
    while await store.engine.read(clear_ids._left):
        await store.engine.write_apart(clear_ids._step)
        sys.stdout.write("sealed\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
