"""Documented examples of Meta's webhooks about an account: one for each field other than `messages`.

Source: developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference; `messaging_handovers` from
docs.360dialog.com/docs/mba/webhooks.
"""

from typing import Any, Final

from emulators.whatsapp.ids import display_number

_TEMPLATE: Final = {
    "message_template_id": 1689556908129832,
    "message_template_name": "order_confirmation",
    "message_template_language": "en-US",
}
PERSON: Final = "16505551234"
WORDS: Final = "Does it come in another color?"
"""The text of a message in a chat that the Business Agent handles. No other consumer may process it."""


def account_event(field: str, number: str) -> dict[str, Any]:
    """The value of a webhook of this field, for this business number. Raises LookupError for an unknown field."""
    phone = display_number(number)
    metadata = {"display_phone_number": phone, "phone_number_id": number}
    examples: dict[str, dict[str, Any]] = {
        "account_update": {
            "event": "DISABLED_UPDATE",
            "ban_info": {"waba_ban_state": "SCHEDULE_FOR_DISABLE", "waba_ban_date": "2026-12-01"},
        },
        "account_review_update": {"decision": "REJECTED"},
        "account_alerts": {
            "entity_type": "PHONE_NUMBER",
            "entity_id": number,
            "alert_info": {
                "alert_severity": "CRITICAL",
                "alert_status": "ACTIVE",
                "alert_type": "OBA_REJECTED",
                "alert_description": f"The request for {phone} was denied.",
            },
        },
        "business_capability_update": {
            "max_daily_conversations_per_business": "TIER_250",
            "max_phone_numbers_per_business": 2,
        },
        "phone_number_quality_update": {
            "display_phone_number": phone,
            "event": "FLAGGED",
            "current_limit": "TIER_2K",
        },
        "phone_number_name_update": {
            "display_phone_number": phone,
            "decision": "REJECTED",
            "requested_verified_name": "Ann Smith",
            "rejection_reason": "NAME_INDIVIDUAL_ISSUE",
        },
        "security": {"display_phone_number": phone, "event": "PIN_RESET_REQUEST", "requester": "61555822107539"},
        "message_template_status_update": _TEMPLATE
        | {
            "event": "PAUSED",
            "reason": "NONE",
            "other_info": {"title": "FIRST_PAUSE", "description": "Paused for 3 hours because of low quality."},
        },
        "message_template_quality_update": _TEMPLATE | {"previous_quality_score": "GREEN", "new_quality_score": "RED"},
        "template_category_update": _TEMPLATE | {"previous_category": "UTILITY", "new_category": "MARKETING"},
        "standby": {
            "messaging_product": "whatsapp",
            "metadata": metadata,
            "contacts": [{"profile": {"name": "Sheena Nelson"}, "wa_id": PERSON}],
            "messages": [
                {
                    "from": PERSON,
                    "id": "wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ0RgA=",
                    "timestamp": "1786000000",
                    "type": "text",
                    "text": {"body": WORDS},
                }
            ],
        },
        "messaging_handovers": {
            "messaging_product": "whatsapp",
            "recipient": metadata,
            "sender": {"phone_number": PERSON},
            "timestamp": "1786000000",
            "type": "control_passed",
            "control_passed": {
                "metadata": WORDS,
                "previous_owner_app_id": "1234567890123456",
                "previous_owner_app_role": "meta_business_agent",
                "previous_owner_role": "ai_agent",
                "new_owner_role": "escalation",
                "conversation_context": {"type": "summary", "summary": {"text": WORDS}},
            },
        },
    }
    return examples[field]
