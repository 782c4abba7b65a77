"""The settings of each process of a local run: from .env, the environment, the emulated vendors and local keys."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local_run.emulated_vendors import EMULATED_VENDORS, EmulatedVendor
from local_run.env_files import settings_in
from local_run.keys import NAMES, local_keys
from serving.listening import Address
from serving.secret_files import file_setting, secret_from
from serving.vendors import VENDORS

Settings = dict[str, str]

_DEFAULTS = {
    "KERNEL_LISTEN": "127.0.0.1:50051",
    "KERNEL_METRICS_LISTEN": "127.0.0.1:9464",
    "CONNECT_LISTEN": "127.0.0.1:8081",
    "GATEWAY_LISTEN": "127.0.0.1:8080",
    "EMULATORS_LISTEN": "127.0.0.1:8090",
    "KERNEL_DATABASE_URL": "sqlite:///var/kernel.db",
}
_CLOCK = "var/clock"
_DEMO_TOOLS = "local_run.demo_tools:TOOLS"
_LISTENS = tuple(name for name in _DEFAULTS if name.endswith("_LISTEN"))
OURS = ("KERNEL_", "GATEWAY_", "CONNECT_", "EMULATORS_", "LOG_")
_NOT_THE_KERNELS = ("GATEWAY_", "WHATSAPP_", "EMULATORS_", "KERNEL_TOKEN")
_THE_GATEWAYS = (
    *("GATEWAY_", "WHATSAPP_", "KERNEL_ADDRESS", "KERNEL_TOKEN", "KERNEL_TLS_CA", "KERNEL_ALLOW_INSECURE"),
    *("OTEL_", "LOG_"),
)
_THE_EMULATORS = (
    *("EMULATORS_", "KERNEL_ADDRESS", "KERNEL_ADMIN_TOKEN", "KERNEL_TLS_CA", "KERNEL_EMULATED_CLOCK"),
    "LOG_",
)
_READ_HERE = ("KERNEL_TOKEN", "KERNEL_ADMIN_TOKEN", "KERNEL_CHANNEL_TOKENS")
"""Secrets that several processes need, in different forms."""
_LACKING = (
    "var/keys.env lacks {names}: restore it from a backup. If nothing in var/kernel.db is needed any more, move the"
    " folder var away; the local run then creates new keys."
)
_A_DEMO = frozenset({"OpenAI", "WhatsApp"})
"""The vendors of a demo: no real person is served, and the model knows the words of the demo's own tool."""
_WITH_THEIR_OWN_TIME = frozenset({"Composio", "WhatsApp"})
"""Vendors whose times must agree with the kernel service's. Real ones keep the real time."""


@dataclass(frozen=True)
class Service:
    """One process, `python -m <module>`, with only its own settings. It is ready when `ready_url` answers 200.

    One that `may_kill` can have the other ones killed and started again.
    """

    module: str
    environment: Settings
    ready_url: str
    may_kill: bool = False


@dataclass(frozen=True)
class LocalRun:
    """`services` are in the order of their start; `listens` maps settings to the addresses that they name."""

    services: tuple[Service, ...]
    listens: Settings
    emulated: tuple[EmulatedVendor, ...]
    webhook_url: str
    page_url: str


def plan(directory: Path, environ: Mapping[str, str]) -> LocalRun:
    """The local run for the .env of a directory. Missing keys are created in its var/.

    Raises ValueError, which names every invalid address, each line of a file that is no setting, or a secret that its
    file does not give, and OSError.
    """
    file = settings_in(directory / ".env")
    # Vendors' settings come from .env alone, so that a key that a shell exports is never used by accident.
    exported = {name: value for name, value in _filled(environ).items() if name.startswith(OURS)}
    given = _with_read_secrets(file | exported)
    defaults = _DEFAULTS | local_keys(directory / "var" / "keys.env")
    chosen = {name: value for name, value in defaults.items() if file_setting(name) not in given} | given
    if lacking := [name for name in NAMES if not {name, file_setting(name)} & chosen.keys()]:
        raise ValueError(_LACKING.format(names=" and ".join(lacking)))
    if wrong := [problem for name in _LISTENS if (problem := _wrong_address(name, chosen[name]))]:
        raise ValueError("\n".join(wrong))
    emulated = tuple(
        each for each in EMULATED_VENDORS if not {(key := each.vendor.key), file_setting(key)} & file.keys()
    )
    names = {each.name for each in emulated}
    if names >= _WITH_THEIR_OWN_TIME:
        chosen = {"KERNEL_EMULATED_CLOCK": _CLOCK} | chosen
    if names >= _A_DEMO:
        chosen = {"KERNEL_TOOLS": _DEMO_TOOLS} | chosen
    settings = _with_derived(chosen)
    emulators = f"http://{_reachable(settings['EMULATORS_LISTEN'])}"
    stand_ins = {name: value for each in emulated for name, value in each.stand_in(emulators).items()}
    rest = _without_settings(environ)
    if emulated:
        rest |= _reached_directly(settings["EMULATORS_LISTEN"], environ)
    settings = {name: value for name, value in settings.items() if name not in map(file_setting, stand_ins)}
    services = _services(settings | stand_ins, stand_ins, rest)
    return LocalRun(
        services=services if emulated else services[1:],
        listens={name: settings[name] for name in _LISTENS if emulated or name != "EMULATORS_LISTEN"},
        emulated=emulated,
        webhook_url=settings["EMULATORS_WEBHOOK_URL"],
        page_url=f"{settings['EMULATORS_PUBLIC_URL']}/",
    )


def _wrong_address(setting: str, listen: str) -> str:
    try:
        address = Address.parse(listen)
    except ValueError as problem:
        return f"{setting} {problem}"
    return "" if address.port else f"{setting} needs a port: the other processes must know it before this one starts"


def _filled(variables: Mapping[str, str | None]) -> Settings:
    return {name: value for name, value in variables.items() if value}


def _with_read_secrets(settings: Settings) -> Settings:
    """With the contents of their files in place of the files' names, for the secrets that are needed here."""
    read = {}
    for name in _READ_HERE:
        try:
            read[name] = secret_from(settings, name) or ""
        except ValueError as problem:
            raise ValueError(f"{name} {problem}") from None
    kept = {name: value for name, value in settings.items() if name not in map(file_setting, _READ_HERE)}
    return kept | _filled(read)


def _without_settings(environ: Mapping[str, str]) -> Settings:
    settings = (*OURS, *(vendor.prefix for vendor in VENDORS.values()))
    return {name: value for name, value in environ.items() if not name.startswith(settings)}


def _reached_directly(listen: str, environ: Mapping[str, str]) -> Settings:
    """Settings that exclude the local address from an outgoing proxy, which cannot reach it."""
    excepted = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    host = _reachable(listen).rpartition(":")[0].strip("[]")
    return {"no_proxy": f"{excepted},{host}".lstrip(",")}


def _with_derived(settings: Settings) -> Settings:
    derived = {
        "CONNECT_PUBLIC_URL": f"http://{_reachable(settings['CONNECT_LISTEN'])}",
        "KERNEL_ADDRESS": f"dns:///{_reachable(settings['KERNEL_LISTEN'])}",
        "EMULATORS_WEBHOOK_URL": f"http://{_reachable(settings['GATEWAY_LISTEN'])}/webhook",
        "EMULATORS_EVENTS_URL": f"http://{_reachable(settings['CONNECT_LISTEN'])}/connect/events",
        "EMULATORS_PUBLIC_URL": f"http://{_reachable(settings['EMULATORS_LISTEN'])}",
    }
    return derived | settings | {"KERNEL_CHANNEL_TOKENS": _channel_tokens(settings)}


def _reachable(listen: str) -> str:
    return Address.parse(listen).url.removeprefix("http://")


def _channel_tokens(settings: Settings) -> str:
    """The tokens of other channels, if .env names any, and the gateway's token."""
    tokens = [token for token in settings.get("KERNEL_CHANNEL_TOKENS", "").split(",") if token]
    return ",".join(dict.fromkeys([*tokens, f"whatsapp={settings['KERNEL_TOKEN']}"]))


def _services(settings: Settings, stand_ins: Settings, rest: Settings) -> tuple[Service, ...]:
    kernel = {name: value for name, value in settings.items() if not name.startswith(_NOT_THE_KERNELS)}
    gateway = {name: value for name, value in settings.items() if name.startswith(_THE_GATEWAYS)}
    # The emulators must not get real keys.
    emulators = {name: value for name, value in settings.items() if name.startswith(_THE_EMULATORS)} | stand_ins
    phones = "WHATSAPP_ACCESS_TOKEN" in stand_ins
    if phones:  # they are WhatsApp's: their page may ask what WhatsApp's gateway may
        emulators["KERNEL_TOKEN"] = settings["KERNEL_TOKEN"]
    urls = {name: f"http://{_reachable(settings[name])}" for name in _LISTENS}
    return (
        Service("emulators", rest | emulators, f"{urls['EMULATORS_LISTEN']}/", may_kill=phones),
        Service("kernel_service", rest | kernel, f"{urls['KERNEL_METRICS_LISTEN']}/healthz"),
        Service("whatsapp_gateway", rest | gateway, f"{urls['GATEWAY_LISTEN']}/readyz"),
    )
