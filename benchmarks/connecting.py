"""Many people who connect an account at once: `python -m benchmarks.connecting [people] [a minute]`.

By default 1,000 people and Composio's 2,000 requests a minute. Everything runs in this process, over real HTTP and
gRPC, against the emulated vendors. Prints the total time, the number of requests to Composio, the highest number in any
minute, the highest number of threads, and how often each waiting request was carried out.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path

from tests.integration.crowd import connect_at_once
from tests.integration.world import whole_world


async def main(people: int, per_minute: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with whole_world(Path(folder), kernel_composio_per_minute=per_minute) as world:
            before = threading.active_count()
            crowd = await connect_at_once(world, people)
            notices = [line for line in (await world.metrics()).splitlines() if line.startswith("kernel_busy_notices")]
    done = sum("Demo" in answer and "is connected" in answer for answer in crowd.answers)
    print(f"{people} people, all answered after {crowd.seconds:.0f} s; {done} told that it is connected and done")
    print(f"tasks made for a person: {dict(Counter(crowd.tasks))}")
    print(f"requests to Composio: {len(crowd.asked)}, at most {crowd.most_in_a_minute} in a minute of {per_minute}")
    print(f"threads: {before} before, {crowd.threads} at most")
    print(*notices, sep="\n")


if __name__ == "__main__":
    asyncio.run(main(*map(int, (sys.argv[1:] + ["1000", "2000"][len(sys.argv) - 1 :]))))
