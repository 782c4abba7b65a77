"""The answer to a call of the Graph API for which a fault is injected."""

import json

from aiohttp import web

from emulators.faults import Fault, drop
from emulators.whatsapp.errors import GraphError


def failed(request: web.Request, fault: Fault) -> web.Response:
    if fault.status == 0:
        return drop(request)
    body = json.dumps(GraphError(131000).body()) if fault.body is None else fault.body
    return web.Response(status=fault.status, text=body, content_type="application/json", headers=fault.headers())
