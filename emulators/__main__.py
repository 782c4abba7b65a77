"""`python -m emulators`: serve all emulators until the process is told to stop."""

import asyncio
import logging
import signal
import sys

from pydantic import ValidationError

from emulators.app import Emulators
from emulators.config import Config
from serving.logs import set_up

log = logging.getLogger("emulators")


async def serve(config: Config) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, stop.set)
    async with Emulators.start(config) as emulators:
        log.info("emulators ready at %s", emulators.url)
        await stop.wait()


def main() -> int:
    set_up("emulators")
    try:
        config = Config()
    except ValidationError as error:
        for problem in error.errors():
            name = str(problem["loc"][0]).upper()
            print(f"{name}: {problem['msg']}", file=sys.stderr)  # noqa: T201
        return 2
    try:
        asyncio.run(serve(config))
    except ValueError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    except OSError as error:
        print(f"EMULATORS_LISTEN: cannot listen on {config.emulators_listen}: {error}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
