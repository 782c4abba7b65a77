"""The app, its token, the business account and its numbers, as an operator configures them at Meta.

Sources: developers.facebook.com/docs/graph-api/reference/debug_token, …/app/subscriptions and
…/whats-app-business-account/subscribed_apps. Numbers: developers.facebook.com/documentation/business-messaging/
whatsapp/reference/whatsapp-business-phone-number, …/webhooks/override and …/support/health-status.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from emulators.whatsapp.ids import display_number

APP_ID: Final = "634974688087057"
WABA_ID: Final = "102290129340398"
MESSAGING: Final = "whatsapp_business_messaging"
MANAGEMENT: Final = "whatsapp_business_management"


@dataclass(slots=True)
class Number:
    """A business phone number. `callback` overrides the app's callback URL; "" does not.

    `status` is CONNECTED, PENDING, FLAGGED, RESTRICTED, BANNED or DISCONNECTED; `quality` is GREEN, YELLOW, RED or
    UNKNOWN; `health` is AVAILABLE, LIMITED or BLOCKED. Without `is_ours` the number is another account's.
    """

    id: str
    status: str = "CONNECTED"
    quality: str = "GREEN"
    verification: str = "VERIFIED"
    platform: str = "CLOUD_API"
    name_status: str = "APPROVED"
    health: str = "AVAILABLE"
    callback: str = ""
    is_ours: bool = True

    def as_json(self, callbacks: dict[str, str]) -> dict[str, Any]:
        callbacks = callbacks | ({"phone_number": self.callback} if self.callback else {})
        health = {"can_send_message": self.health}
        return {
            "id": self.id,
            "display_phone_number": f"+{display_number(self.id)}",
            "verified_name": "Emulated Business",
            "status": self.status,
            "quality_rating": self.quality,
            "code_verification_status": self.verification,
            "platform_type": self.platform,
            "name_status": self.name_status,
            "webhook_configuration": callbacks,
            "health_status": {
                **health,
                "entities": [
                    {"entity_type": "PHONE_NUMBER", "id": self.id, **health},
                    {"entity_type": "WABA", "id": WABA_ID, "can_send_message": "AVAILABLE"},
                    {"entity_type": "APP", "id": APP_ID, "can_send_message": "AVAILABLE"},
                ],
            },
        }


@dataclass(slots=True)
class Account:
    """Tests change the fields. Times are in seconds since 1970; `expires_at` 0: the token does not expire.

    `callback` returns the URL of the app's webhook, `waba_callback` overrides it for the account. `subscribed` are the
    ids of the apps that get the account's webhooks, `fields` those to which the app is subscribed.
    """

    secrets: list[str]
    numbers: dict[str, Number]
    callback: Callable[[], str]
    scopes: list[str] = field(default_factory=lambda: [MANAGEMENT, MESSAGING, "public_profile"])
    expires_at: int = 0
    data_access_expires_at: int = 0
    is_revoked: bool = False
    may_inspect: bool = True
    """Whether the token may ask for itself: its system user has a role in the app."""
    subscribed: list[str] = field(default_factory=lambda: [APP_ID])
    waba_callback: str = ""
    object: str = "whatsapp_business_account"
    fields: list[str] = field(
        default_factory=lambda: [
            *("account_update", "message_template_status_update", "messages", "phone_number_quality_update", "standby")
        ]
    )
    is_active: bool = True

    def token(self) -> dict[str, Any]:
        """The answer to debug_token for the token itself."""
        granular = [{"scope": scope, "target_ids": [WABA_ID]} for scope in self.scopes if scope.startswith("whatsapp_")]
        return {
            "app_id": APP_ID,
            "type": "SYSTEM_USER",
            "application": "Emulated App",
            "data_access_expires_at": self.data_access_expires_at,
            "expires_at": self.expires_at,
            "is_valid": True,
            "issued_at": 1_760_000_000,
            "scopes": self.scopes,
            "granular_scopes": granular,
            "user_id": "122100000000000000",
        }

    def callbacks(self) -> dict[str, str]:
        """The callback URLs that apply to a number, by what they are set for."""
        waba = {"whatsapp_business_account": self.waba_callback} if self.waba_callback else {}
        return {**waba, "application": self.callback()}

    def app_subscriptions(self) -> list[dict[str, Any]]:
        fields = [{"name": name, "version": "v26.0"} for name in self.fields]
        return [{"object": self.object, "callback_url": self.callback(), "active": self.is_active, "fields": fields}]

    def subscribed_apps(self) -> list[dict[str, Any]]:
        override = {"override_callback_uri": self.waba_callback} if self.waba_callback else {}
        return [
            {
                "whatsapp_business_api_data": {
                    "link": f"https://www.facebook.com/games/?app_id={app}",
                    "name": "Emulated App",
                    "id": app,
                },
                **override,
            }
            for app in self.subscribed
        ]
