"""The cost of overwriting deleted data in SQLite: the ratios of CPU and of time, with it to without it.

On a busy machine the time is not meaningful.

python -m benchmarks.secure_delete
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from typing import Final

from sqlalchemy import text

from kernel_service.ports.messages import Message
from kernel_service.ports.payloads import Content, Image, Payload, Text
from kernel_service.storage.engine import sqlite
from kernel_service.storage.opening.open_store import open_store
from kernel_service.storage.sealing.ciphers import KEY_BYTES, MasterKeys

ROUNDS: Final = 8
MESSAGES: Final = 400
PICTURES: Final = 15
NOW: Final = 1e9
KEYS: Final = MasterKeys({"k1": os.urandom(KEY_BYTES)})
PICTURE: Final = b"\x89PNG\r\n\x1a\n" + os.urandom(1_000_000)
OTHERS: Final = tuple(pragma for pragma in sqlite.PRAGMAS if "secure_delete" not in pragma)

Costs = dict[str, float]


async def once(secure_delete: str) -> Costs:
    """Seconds of each kind of work, on a new database."""
    sqlite.PRAGMAS = (*OTHERS, f"PRAGMA secure_delete = {secure_delete}")
    with tempfile.TemporaryDirectory() as folder:
        store = await open_store(f"sqlite:///{folder}/kernel.db", KEYS)

        async def accept(message_id: str, content: Content) -> None:
            said = Message(f"test:{message_id}", message_id, Payload(content))
            await store.inbox.accept(said, now=NOW, max_pending=1)

        begun = time.process_time(), time.perf_counter()
        for number in range(MESSAGES):
            await accept(f"m{number}", Text("hello " * 20))
        between = time.process_time(), time.perf_counter()
        for number in range(PICTURES):
            await accept(f"p{number}", Image("image/png", data=PICTURE))
        done = text("UPDATE message SET status = 'completed'")
        await store.engine.write(lambda tx: tx.execute(done).close())
        while await store.media.sweep(now=NOW):
            pass
        ended = time.process_time(), time.perf_counter()
        await store.close()
    return {
        "a text message is accepted, CPU": between[0] - begun[0],
        "a text message is accepted, time": between[1] - begun[1],
        "a picture of 1 MB comes and goes, CPU": ended[0] - between[0],
        "a picture of 1 MB comes and goes, time": ended[1] - between[1],
    }


async def main() -> None:
    costs: dict[str, list[Costs]] = {"OFF": [], "ON": []}
    for _ in range(ROUNDS):  # alternately, because the machine also has other load
        for setting, found in costs.items():
            found.append(await once(setting))
    for name in costs["ON"][0]:
        least = {setting: min(cost[name] for cost in found) for setting, found in costs.items()}
        print(f"{name}: {least['ON'] / least['OFF']:.2f} times")


if __name__ == "__main__":
    asyncio.run(main())
