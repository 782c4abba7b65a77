"""python -m whatsapp_gateway: serve until SIGTERM or SIGINT, then finish what is in hand."""

import logging
import sys
from typing import Final

import uvloop
from aiohttp import web
from pydantic import ValidationError

from whatsapp_gateway.app import build_app
from whatsapp_gateway.config import Settings

logger = logging.getLogger("whatsapp_gateway")

BAD_SETTINGS: Final = 2
SHUTDOWN_SECONDS: Final = 10
"""For webhooks under way, which end by themselves before."""


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    settings = _settings()
    host, port = settings.address
    logger.info("serving WhatsApp's webhook on %s", settings.gateway_listen)
    web.run_app(
        build_app(settings),
        host=host or None,
        port=port,
        shutdown_timeout=SHUTDOWN_SECONDS,
        access_log=None,
        print=None,
        loop=uvloop.new_event_loop(),
    )


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as invalid:
        for problem in invalid.errors(include_url=False, include_input=False, include_context=False):
            name = str(problem["loc"][0]).upper() if problem["loc"] else "settings"
            sys.stderr.write(f"whatsapp_gateway: {name}: {problem['msg']}\n")
        sys.exit(BAD_SETTINGS)


if __name__ == "__main__":
    main()
