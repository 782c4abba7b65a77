"""Every check, in the order in which it is shown."""

from __future__ import annotations

from typing import Final

from kernelctl.checks import (
    composio,
    database,
    gateway,
    kernel,
    machine,
    model,
    names,
    public_address,
    settings,
    whatsapp_numbers,
    whatsapp_templates,
    whatsapp_token,
    whatsapp_webhook,
)
from kernelctl.checks.check import Check

SETTINGS, MACHINE, SERVICES = "Settings", "This machine", "Services"
WHATSAPP, MODEL, COMPOSIO, PUBLIC = "WhatsApp", "Model", "Composio", "Public address"

CHECKS: Final = (
    Check("settings.vendors", SETTINGS, settings.vendors),
    Check("settings.names", SETTINGS, names.read),
    Check("settings.accepted", SETTINGS, settings.accepted),
    Check("settings.secrets", SETTINGS, settings.exposed),
    Check("settings.present", SETTINGS, settings.present),
    Check("settings.bounds", SETTINGS, settings.bounds),
    Check("settings.file", SETTINGS, settings.file_mode),
    Check("machine.clock", MACHINE, machine.clock),
    Check("machine.disk", MACHINE, machine.disk),
    Check("database.schema", SERVICES, database.database),
    Check("database.keys", SERVICES, database.encryption_keys),
    Check("kernel.token", SERVICES, kernel.channel_token),
    Check("kernel.admin", SERVICES, kernel.admin_token),
    Check("gateway.webhook", SERVICES, gateway.gateway),
    Check("whatsapp.token", WHATSAPP, whatsapp_token.access_token),
    Check("whatsapp.permissions", WHATSAPP, whatsapp_token.permissions),
    Check("whatsapp.app_secret", WHATSAPP, whatsapp_token.app_secret),
    Check("whatsapp.numbers", WHATSAPP, whatsapp_numbers.phone_numbers),
    Check("whatsapp.subscription", WHATSAPP, whatsapp_webhook.account_subscription),
    Check("whatsapp.fields", WHATSAPP, whatsapp_webhook.webhook_fields),
    Check("whatsapp.callback", WHATSAPP, whatsapp_webhook.callback_url),
    Check("whatsapp.templates", WHATSAPP, whatsapp_templates.templates),
    Check("model.model", MODEL, model.key_and_model),
    Check("model.answer", MODEL, model.answer),
    Check("model.transcription", MODEL, model.transcription),
    Check("model.speech", MODEL, model.speech),
    Check("composio.key", COMPOSIO, composio.api_key),
    Check("composio.verifier", COMPOSIO, composio.verifier),
    Check("composio.webhook", COMPOSIO, composio.webhook),
    Check("composio.toolkits", COMPOSIO, composio.toolkits),
    Check("public.pages", PUBLIC, public_address.connect_pages),
    Check("public.certificates", PUBLIC, public_address.certificates),
)


def named(*names: str) -> list[Check]:
    """Those whose names begin with one of these."""
    return [check for check in CHECKS if check.name.startswith(names)]
