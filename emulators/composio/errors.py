"""Refusals in Composio's error format.

Slugs and codes were observed in answers of Composio's servers. For an error that was not observed, the slug follows the
same pattern, and the code is the number of its family (43xx for sessions, 6xx for connected accounts).
"""

from collections.abc import Iterable

from pydantic import ValidationError

from emulators.vendor import RefusedError


def refused(
    message: str, *, slug: str, code: int, status: int = 400, fix: str = "", errors: Iterable[str] = ()
) -> RefusedError:
    error: dict[str, object] = {
        "message": message,
        "code": code,
        "slug": slug,
        "status": status,
        "suggested_fix": fix,
    }
    if errors := list(errors):
        error["errors"] = errors
    return RefusedError(message, status, {"error": error})


def of_status(status: int) -> RefusedError:
    """Composio's error for a status that the request did not cause."""
    message, slug = {
        401: ("Invalid API key", "HTTP_Unauthorized"),
        403: ("Forbidden", "HTTP_Forbidden"),
        429: ("Rate limit exceeded", "HTTP_TooManyRequests"),
        503: ("Service unavailable", "HTTP_ServiceUnavailable"),
    }.get(status, ("Internal server error", "HTTP_InternalServerError"))
    return refused(message, slug=slug, code=10000 + status, status=status)


def of_shape(error: ValidationError, where: str = "payload") -> RefusedError:
    """`where` is the part of the request that has the wrong shape: payload or query."""
    problems = []
    for problem in error.errors(include_url=False):
        path = ".".join(str(part) for part in problem["loc"])
        words = "Unrecognized key" if problem["type"] == "extra_forbidden" else problem["msg"]
        problems.append(f"Error in {where}.{path}: {words}")
    return refused(
        "Validation error while processing request",
        slug="HTTP_BadRequest",
        code=10400,
        fix="Correct the fields that are listed.",
        errors=problems,
    )


def session_not_found(session_id: str) -> RefusedError:
    message = f"Tool router session {session_id} not found"
    return refused(message, slug="ToolRouterV2_SessionNotFound", code=4303, status=404)


def account_not_found(account_id: str) -> RefusedError:
    message = f'Connected account "{account_id}" not found'
    return refused(message, slug="ConnectedAccount_ResourceNotFound", code=606, status=404)


def accounts_of_others(account_ids: Iterable[str], user_id: str) -> RefusedError:
    message = f"Could not find connected account(s) {', '.join(account_ids)} belonging to user {user_id}"
    return refused(message, slug="ToolRouterV2_InvalidConnectedAccountIds", code=4309)


def no_active_connection(toolkit: str) -> RefusedError:
    return refused(
        f"No active connection found for toolkit(s) '{toolkit}' in this session",
        slug="ToolRouterV2_NoActiveConnection",
        code=4302,
        fix="Create a connection for the toolkit first.",
    )


def toolkit_not_allowed(toolkit: str) -> RefusedError:
    message = f"[Session Restriction] Toolkit '{toolkit}' is not allowed for this session"
    return refused(message, slug="ToolRouterV2_ToolkitNotAllowed", code=4324)


def tool_not_allowed(slug: str) -> RefusedError:
    message = f"[Session Restriction] Tool '{slug}' is not allowed for this session"
    return refused(message, slug="ToolRouterV2_ToolNotAllowed", code=4325)


def tool_not_found(slug: str, *, status: int = 400) -> RefusedError:
    return refused(f"Tool {slug} not found", slug="ToolRouterV2_ToolNotFound", code=4301, status=status)


def toolkit_not_found(slug: str) -> RefusedError:
    return refused(f"Toolkit {slug} not found", slug="Toolkit_ToolkitNotFound", code=2301, status=404)
