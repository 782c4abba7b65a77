"""Checks a caller of the Graph API, and the business's number that the call names."""

import re
from collections.abc import Callable, Collection

from aiohttp import web

from emulators.whatsapp.account import Account
from emulators.whatsapp.errors import GraphError


class Caller:
    """Refuses, as Meta does, callers without a valid token and numbers of other businesses."""

    def __init__(self, token: str, account: Account, clock: Callable[[], float]) -> None:
        self._token = token
        self._account = account
        self._numbers: Collection[str] = account.numbers
        self._clock = clock

    def check_token(self, request: web.Request) -> None:
        """GraphError 190."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        self.check_given(token if scheme == "Bearer" else "")

    def check_given(self, token: str) -> None:
        """GraphError 190. The subcodes tell an expired token (463) from one that was revoked (460)."""
        if token != self._token:
            raise GraphError(190, "Invalid OAuth access token - Cannot parse access token")
        if 0 < self._account.expires_at <= self._clock():
            raise GraphError(190, "Error validating access token: Session has expired.", subcode=463)
        if self._account.is_revoked:
            problem = "Error validating access token: The session has been invalidated."
            raise GraphError(190, problem, subcode=460)

    def check(self, request: web.Request) -> None:
        """Check the token, and the version in the path. Raises GraphError 190 or 2500."""
        self.check_token(request)
        if not re.fullmatch(r"v[0-9]{2}\.[0-9]", request.match_info["version"]):
            raise GraphError(2500, f"Unknown path components: {request.path.removeprefix('/graph')}")

    def check_number(self, request: web.Request) -> str:
        """As check(), and check and return the number in the path. Raises GraphError 100 too."""
        self.check(request)
        number = request.match_info["number"]
        if number not in self._numbers:
            raise no_such_object(number)
        return number


def no_such_object(object_id: str, method: str = "post") -> GraphError:
    """Meta's error for an id that is unknown, expired, or of another account."""
    return GraphError(
        100,
        f"Unsupported {method} request. Object with ID '{object_id}' does not exist, cannot be loaded "
        "due to missing permissions, or does not support this operation",
        subcode=33,
        kind="GraphMethodException",
    )
