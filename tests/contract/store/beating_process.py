"""A node in a process: it writes its id to stdout once it beats, and leaves when its stdin ends."""

from __future__ import annotations

import asyncio
import sys

from kernel_service.cluster.membership import Membership
from kernel_service.ports.nodes import Node
from kernel_service.storage.opening.migrating import SCHEMA_NUMBER
from kernel_service.storage.opening.open_store import open_store
from tests.contract.store.conftest import keys


async def main(url: str) -> None:
    store = await open_store(url, keys("test"), pool=2)
    node = Node("k_older_process", "older:50051", SCHEMA_NUMBER)
    membership = Membership(store.nodes, node, alone=False, end_process=sys.exit)
    await membership.join()
    async with membership.beating():
        sys.stdout.write(f"{node.id}\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)
    await membership.leave()
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
