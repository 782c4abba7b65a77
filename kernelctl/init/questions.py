"""The questions: each is one setting, with the checks that show whether its answer is right."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from kernelctl.checks.setup import SECRETS

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernelctl.checks.setup import Setup


@dataclass(frozen=True, slots=True)
class Question:
    """`text` says what the setting is for, `where` where to find its value. `checks` are names of checks.

    Without `is_required` the answer may be empty. `applies` tells whether it is asked at all.
    """

    setting: str
    label: str
    text: str
    where: str = ""
    checks: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    is_required: bool = True
    applies: Callable[[Setup], bool] = field(default=lambda _: True)

    @property
    def is_secret(self) -> bool:
        return self.setting in SECRETS


@dataclass(frozen=True, slots=True)
class Group:
    """`vendor` is the one whose questions these are, if it is real; `option` chooses it without a terminal."""

    title: str
    questions: tuple[Question, ...]
    vendor: str = ""
    option: str = ""
    real: str = ""
    emulated: str = ""


def _has_own_server(setup: Setup) -> bool:
    return "api.openai.com" not in setup.get("OPENAI_BASE_URL")


WHATSAPP: Final = Group(
    "WhatsApp",
    vendor="WhatsApp",
    option="whatsapp",
    real="people write to a number of your Meta app",
    emulated="the phones are a web page on this machine",
    questions=(
        Question(
            "WHATSAPP_ACCESS_TOKEN",
            "Access token",
            "With it the gateway sends messages and reads files.",
            "business.facebook.com > Settings > Users > System users > Generate token: no expiry, "
            "whatsapp_business_messaging and whatsapp_business_management.",
            ("whatsapp.token", "whatsapp.permissions"),
        ),
        Question(
            "WHATSAPP_PHONE_NUMBER_ID",
            "Phone number ID",
            "The number that people write to, by its id; several with commas.",
            "Meta's app dashboard > WhatsApp > API Setup > Phone number ID.",
            ("whatsapp.numbers",),
        ),
        Question(
            "WHATSAPP_APP_SECRET",
            "App secret",
            "Meta signs its webhooks with it, so that no stranger can write in a person's name.",
            "Meta's app dashboard > App settings > Basic > App secret.",
            ("whatsapp.app_secret",),
        ),
    ),
)

MODEL: Final = Group(
    "Model",
    vendor="OpenAI",
    option="model",
    real="OpenAI, or any server with its API",
    emulated="answers come from fixed rules",
    questions=(
        Question(
            "OPENAI_BASE_URL",
            "Server",
            "The address of the model's API, OpenAI's or another's (vLLM, Ollama, LiteLLM, …).",
            "Keep the default for OpenAI.",
        ),
        Question(
            "OPENAI_API_KEY",
            "API key",
            "The model's server bills it. A server without keys takes any word.",
            "platform.openai.com > API keys.",
        ),
        Question(
            "OPENAI_API",
            "API",
            "The way in which the server is asked: responses, or chat if it has Chat Completions only.",
            choices=("responses", "chat"),
            applies=_has_own_server,
        ),
        Question(
            "OPENAI_MODEL",
            "Model",
            "The model that answers. It must be able to call tools.",
            "platform.openai.com > Models, or your server's own list.",
            ("model.model", "model.answer"),
        ),
    ),
)

ADDRESS: Final = Group(
    "Public address",
    questions=(
        Question(
            "CONNECT_PUBLIC_URL",
            "Address",
            "The https address, without a path, at which people's browsers and the vendors reach this machine.",
            "Your domain, with an https proxy before the services. Empty: only this machine opens the connect pages.",
            is_required=False,
        ),
    ),
)

COMPOSIO: Final = Group(
    "Composio",
    vendor="Composio",
    option="composio",
    real="people connect their own accounts, as of Gmail",
    emulated="accounts and their data are invented",
    questions=(
        Question(
            "COMPOSIO_API_KEY",
            "API key",
            "The key of one project, in which the people's connections are.",
            "Composio's dashboard > Settings > API keys.",
            ("composio.key",),
        ),
        Question(
            "KERNEL_TOOLKITS",
            "Toolkits",
            "The toolkits that people may connect, with commas, as asana,gmail; empty: all.",
            "docs.composio.dev/toolkits lists their slugs.",
            ("composio.toolkits",),
            is_required=False,
        ),
        Question(
            "COMPOSIO_WEBHOOK_SECRET",
            "Webhook secret",
            "Composio signs its events with it: new mails, expired connections. Empty: no events.",
            "Composio's dashboard > Settings > Webhook, with <your address>/connect/events as its URL.",
            ("composio.webhook",),
            is_required=False,
        ),
        Question(
            "COMPOSIO_VERIFIER",
            "Identity verifier",
            "true only if the project's identity verifier is on: it keeps a stranger's link from binding an account.",
            "Composio's dashboard > Settings, with <your address>/connect/verify as its URL.",
            choices=("true", "false"),
        ),
    ),
)

LIMITS: Final = Group(
    "Limits",
    questions=(
        Question(
            "KERNEL_ALLOWED_USERS",
            "Allowed users",
            "Patterns with commas, as whatsapp:US.*; empty: everyone, and any stranger may write to a number.",
            is_required=False,
        ),
        Question(
            "KERNEL_DAILY_TOKENS",
            "Tokens a day",
            "The most tokens of the model for all people together, each day (UTC); 0: no limit.",
        ),
        Question(
            "KERNEL_DAILY_TOKENS_PER_USER",
            "Tokens a day and person",
            "The same for each person; 0: no limit.",
        ),
    ),
)

GROUPS: Final = (WHATSAPP, MODEL, ADDRESS, COMPOSIO, LIMITS)
VENDOR_GROUPS: Final = tuple(group for group in GROUPS if group.vendor)
