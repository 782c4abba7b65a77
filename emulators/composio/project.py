"""The project of the key: its auth configs and its webhook, as an operator configures them in the dashboard."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

EVENTS: Final = ("composio.connected_account.expired", "composio.trigger.disabled", "composio.trigger.message")


@dataclass(slots=True)
class AuthConfig:
    """`status` is ENABLED or DISABLED."""

    id: str
    toolkit: str
    status: str = "ENABLED"

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "uuid": f"uuid-of-{self.id}",
            "name": f"{self.toolkit} of the project",
            "type": "custom",
            "status": self.status,
            "auth_scheme": "OAUTH2",
            "is_composio_managed": False,
            "no_of_connections": 0,
            "tool_access_config": {},
            "toolkit": {"slug": self.toolkit, "logo": f"https://logos.composio.dev/api/{self.toolkit}"},
        }


@dataclass(slots=True)
class Project:
    """Tests change the fields. `webhook_url` returns the webhook's URL. Without a secret there is no webhook.

    A scoped key may not call the paths that begin with one of `forbidden`.
    """

    webhook_secret: str
    webhook_url: Callable[[], str]
    auth_configs: list[AuthConfig] = field(default_factory=list)
    enabled_events: list[str] = field(default_factory=lambda: list(EVENTS))
    version: str = "V3"
    forbidden: tuple[str, ...] = ()

    def webhook(self) -> list[dict[str, Any]]:
        """At most one: a project has one subscription."""
        if not self.webhook_secret:
            return []
        return [
            {
                "id": "whs_emulated",
                "webhook_url": self.webhook_url(),
                "version": self.version,
                "enabled_events": self.enabled_events,
                "secret": self.webhook_secret,
                "created_at": "2026-01-01T00:00:00.000Z",
                "updated_at": "2026-01-01T00:00:00.000Z",
            }
        ]

    def session(self) -> dict[str, Any]:
        """The answer to GET /auth/session/info, without the parts that the product does not read."""
        return {
            "project": {
                "auto_id": 1,
                "id": "00000000-0000-4000-8000-000000000001",
                "nano_id": "pr_emulated",
                "org_id": "00000000-0000-4000-8000-000000000002",
                "name": "emulated",
                "email": "operator@example.com",
                "created_at": "2026-01-01T00:00:00.000Z",
                "updated_at": "2026-01-01T00:00:00.000Z",
                "triggers_enabled": True,
                "deleted": False,
                "org": {"id": "00000000-0000-4000-8000-000000000002", "name": "emulated", "plan": "HOBBY"},
            },
            "api_key": None,
            "org_member": None,
        }
