"""/auth/session/info, /auth_configs and /webhook_subscriptions: the settings of the project, to read.

Sources: composio-client 2.0.0rc19, resources/auth/session.py, auth_configs.py, webhook_subscriptions.py;
docs.composio.dev/reference/authenticating-to-composio/project-api-key-permissions about scoped keys.
"""

from typing import Any

from aiohttp import web

from emulators.composio import checks
from emulators.composio.errors import of_status
from emulators.composio.paging import page
from emulators.composio.project import AuthConfig, Project
from emulators.composio.wire import AuthConfigsQuery, QueryList
from emulators.faults import Call
from emulators.vendor import Vendor


class ProjectRoutes:
    def __init__(self, vendor: Vendor, project: Project) -> None:
        self._vendor = vendor
        self._project = project

    def routes(self) -> list[tuple[str, str, Any]]:
        return [
            ("GET", "/auth/session/info", self._session),
            ("GET", "/auth_configs", self._auth_configs),
            ("GET", "/webhook_subscriptions", self._webhook_subscriptions),
        ]

    async def _session(self, _: web.Request, call: Call) -> web.Response:
        self._check(call)
        return self._vendor.respond(self._project.session())

    async def _auth_configs(self, request: web.Request, call: Call) -> web.Response:
        self._check(call)
        asked = checks.query(AuthConfigsQuery, request)
        found = [each for each in self._project.auth_configs if _wanted(each, asked)]
        return self._vendor.respond(page(found, asked.cursor, asked.limit, AuthConfig.as_json))

    async def _webhook_subscriptions(self, request: web.Request, call: Call) -> web.Response:
        self._check(call)
        asked = checks.query(QueryList, request)
        return self._vendor.respond(page(self._project.webhook(), asked.cursor, asked.limit, dict))

    def _check(self, call: Call) -> None:
        if call.path.startswith(self._project.forbidden):
            raise of_status(403)


def _wanted(config: AuthConfig, asked: AuthConfigsQuery) -> bool:
    is_shown = config.status == "ENABLED" or asked.show_disabled
    return is_shown and (not asked.toolkit_slug or config.toolkit in asked.toolkit_slug)
