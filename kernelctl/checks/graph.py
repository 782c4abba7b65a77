"""The Graph API as the checks read it. Nothing is written.

Sources: developers.facebook.com/docs/graph-api/reference/debug_token; …/guides/error-handling for codes and subcodes.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from kernelctl.checks.http import Unreachable
from kernelctl.checks.json_fields import object_in, objects_in, texts_in
from kernelctl.checks.results import Skipped

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kernelctl.checks.http import Http
    from kernelctl.checks.setup import Setup

INVALID_TOKEN: Final = 190
EXPIRED, REVOKED = 463, 460
_NO_ROLE: Final = frozenset({10, 100, 200})
_RATE_LIMITS: Final = frozenset({4, 17, 32, 613, 80007})


class GraphRefusal(Exception):
    """An error of the Graph API, or what the answer is instead of JSON (code -1)."""

    def __init__(self, code: int, subcode: int, message: str, status: int) -> None:
        super().__init__(message)
        self.code = code
        self.subcode = subcode
        self.message = message
        self.status = status

    @property
    def is_temporary(self) -> bool:
        return self.code in _RATE_LIMITS or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR


class Graph:
    """Reads with the access token, or with `token`."""

    def __init__(self, setup: Setup, http: Http) -> None:
        self._setup = setup
        self._http = http
        self._base = f"{setup.get('WHATSAPP_API_BASE_URL').rstrip('/')}/{setup.get('WHATSAPP_API_VERSION')}"

    async def read(self, path: str, params: Mapping[str, str] | None = None, *, token: str = "") -> Any:
        """Raises GraphRefusal and Unreachable."""
        headers = {"Authorization": f"Bearer {token or self._setup.get('WHATSAPP_ACCESS_TOKEN')}"}
        reply = await self._http.get(f"{self._base}/{path}", headers=headers, params=params)
        answer = reply.json
        if not isinstance(answer, dict):
            raise GraphRefusal(-1, 0, "the answer is not JSON", reply.status)
        problem = answer.get("error")
        if isinstance(problem, dict):
            raise GraphRefusal(
                _number(problem.get("code")),
                _number(problem.get("error_subcode")),
                str(problem.get("message", "")),
                reply.status,
            )
        return answer

    async def token(self) -> dict[str, Any]:
        """Meta's facts about the token; `app_id` alone if no token may ask for more. Raises GraphRefusal, Unreachable.

        A token whose user has no role in the app may not ask for itself; then the app asks.
        """
        try:
            return await self._debugged("")
        except GraphRefusal as refusal:
            if refusal.code not in _NO_ROLE:
                raise
        app = str((await self.read("app")).get("id", ""))
        for secret in self._setup.entries("WHATSAPP_APP_SECRET"):
            try:
                return await self._debugged(f"{app}|{secret}")
            except GraphRefusal as refusal:
                if refusal.code == INVALID_TOKEN and refusal.status == HTTPStatus.OK:
                    raise
        return {"app_id": app}

    async def _debugged(self, asker: str) -> dict[str, Any]:
        """As `asker`, or as the token itself. The refusal of a described token has the status 200."""
        answer = await self.read("debug_token", {"input_token": self._setup.get("WHATSAPP_ACCESS_TOKEN")}, token=asker)
        data = answer.get("data")
        if not isinstance(data, dict):
            raise GraphRefusal(-1, 0, "the answer has no data", HTTPStatus.OK)
        if data.get("is_valid") is not True:
            problem = object_in(data, "error")
            subcode, message = _number(problem.get("subcode")), str(problem.get("message", ""))
            raise GraphRefusal(INVALID_TOKEN, subcode, message, HTTPStatus.OK)
        return data

    async def valid_token(self) -> dict[str, Any]:
        """As token(). Raises Skipped if the token's own check has the finding."""
        try:
            return await self.token()
        except (GraphRefusal, Unreachable):
            raise Skipped("see the finding of the access token") from None

    async def accounts(self) -> dict[str, str]:
        """The business account of each number that can be read: number id → account id. Raises Skipped."""
        found = {}
        of_token = _targets(await self.valid_token())
        for number in self._setup.entries("WHATSAPP_PHONE_NUMBER_ID"):
            try:
                answer = await self.read(number, {"fields": "health_status"})
            except (GraphRefusal, Unreachable):
                continue
            if account := account_of(answer) or of_token:
                found[number] = account
        if not found:
            raise Skipped("Meta does not tell the WhatsApp account of the phone number")
        return found


def account_of(number: Any) -> str:
    """The id of the business account in a number's health_status, which always names it; "": it is missing."""
    entities = objects_in(object_in(number, "health_status"), "entities")
    return next((str(each.get("id", "")) for each in entities if each.get("entity_type") == "WABA"), "")


def _targets(token: dict[str, Any]) -> str:
    """The first account for which the token was generated; "": unknown."""
    return next((each for scope in objects_in(token, "granular_scopes") for each in texts_in(scope, "target_ids")), "")


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0
