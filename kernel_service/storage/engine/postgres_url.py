"""Translates a common PostgreSQL URL into the form that the driver takes.

It accepts `postgres://`, `postgresql://` or either with a driver's name (`postgresql+asyncpg://`), and libpq's
parameters: https://www.postgresql.org/docs/current/libpq-connect.html. Unsupported parameters are reported. No message
contains a value that may be part of a password.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

_SCHEMES: Final = frozenset({"postgresql", "postgres"})
CONNECT_SECONDS: Final = 3.0
_MOST_SECONDS: Final = 60
_APPLICATION: Final = "kernel_service"

_HOST: Final = re.compile(r"(?P<host>\[[^\[\]]+\]|[^:\[\]]*)(?::(?P<port>\d*))?")
_NAME: Final = re.compile(r"[a-z][a-z_]{0,40}")
_FILES: Final = ("sslrootcert", "sslcert", "sslkey", "sslcrl", "passfile")
_SYSTEM: Final = "system"
# Read by the driver; `options` is passed to the server.
_DRIVERS: Final = frozenset(
    {
        *("host", "port", "dbname", "database", "user", "password", "service", "options"),
        *("sslmode", "sslpassword", "sslnegotiation", "ssl_min_protocol_version", "ssl_max_protocol_version"),
        *("target_session_attrs", "krbsrvname", "gsslib"),
        *_FILES,
    }
)
_OURS: Final = frozenset({"connect_timeout", "application_name", "ssl"})
# Hints for other clients, without effect here: a pooler is detected automatically, KERNEL_DATABASE_POOL sizes the pool,
# `sslmode` has libpq's meaning, and no current server compresses TLS.
_NEEDLESS: Final = frozenset(
    {
        *("pgbouncer", "statement_cache_size", "prepared_statement_cache_size"),
        *("connection_limit", "uselibpqcompat", "sslcompression"),
        *("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count"),
    }
)
_ALLOWED: Final = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "target_session_attrs": ("any", "read-write", "primary"),
    "channel_binding": ("disable", "prefer"),
    "gssencmode": ("disable", "prefer"),
    "client_encoding": ("utf8", "auto"),
}
_SSL: Final = {"true": "require", "1": "require", "false": "disable", "0": "disable"}
_WHY: Final = {
    "target_session_attrs": "the service writes",
    "channel_binding": "this client cannot bind; sslmode=verify-full prevents a man in the middle as well",
}


@dataclass(frozen=True, slots=True)
class PostgresUrl:
    """`dsn` is for asyncpg and holds the password. `system_roots`: TLS trusts the machine's root certificates."""

    dsn: str = field(repr=False)
    application_name: str = _APPLICATION
    connect_seconds: float = CONNECT_SECONDS
    system_roots: bool = False


def is_postgresql(url: str) -> bool:
    scheme, scheme_end, _ = url.strip().partition("://")
    return bool(scheme_end) and scheme.lower().partition("+")[0] in _SCHEMES


def parse(url: str) -> PostgresUrl:
    """Raises `ValueError` with the problem and its fix."""
    if not is_postgresql(url):
        raise ValueError("must begin with postgresql://")
    rest = url.strip().partition("://")[2]
    netloc, path, query = _parts(rest)
    given = _parameters(query)
    if "host" in given:  # as in libpq; the path of a socket's folder is allowed only here
        user, at, _ = netloc.rpartition("@")
        netloc = user + at
    if given.keys() & {"dbname", "database"}:
        path = ""
    given = _ssl(given)
    system_roots = given.get("sslrootcert") == _SYSTEM
    if system_roots:
        given.pop("sslrootcert")
    if given.get("target_session_attrs", "any") == "any":  # of several servers the writable one
        given["target_session_attrs"] = "read-write"
    seconds, name = _seconds(given.pop("connect_timeout", "")), given.pop("application_name", _APPLICATION)
    dsn = f"postgresql://{_quoted(netloc)}{path}?{urlencode(given, quote_via=quote)}"
    return PostgresUrl(dsn, name, seconds, system_roots)


def _parts(rest: str) -> tuple[str, str, str]:
    """User and hosts, path, query."""
    try:
        parts = urlsplit(f"postgresql://{rest}")
    except ValueError:
        raise ValueError("is not a URL: put an IPv6 address in [ ] and encode other special characters") from None
    user, _, hosts = parts.netloc.rpartition("@")
    if parts.fragment or ("@" in parts.path + parts.query and not user):
        raise ValueError("cannot be read: encode / ? # and @ in a user name or password, as %2F %3F %23 and %40")
    for each in hosts.split(","):
        match = _HOST.fullmatch(each)
        if match is None or int(match["port"] or 1) not in range(1, 65536):
            raise ValueError(
                "has a host or port that cannot be read: expected host:port, an IPv6 address in [ ], and in a password"
                " : / ? # and @ encoded, as %3A %2F %3F %23 and %40"
            )
    return parts.netloc, parts.path, parts.query


def _quoted(netloc: str) -> str:
    """With user and password fully percent-encoded, even if they were partly encoded before."""
    user_and_password, at, hosts = netloc.rpartition("@")
    user, colon, password = user_and_password.partition(":")
    return quote(unquote(user), safe="") + colon + quote(unquote(password), safe="") + at + hosts


def _parameters(query: str) -> dict[str, str]:
    """The given parameters that have an effect."""
    given = _once(query)
    unknown = given.keys() - _DRIVERS - _OURS - _NEEDLESS - _ALLOWED.keys()
    if unknown:
        named = ", ".join(sorted(name if _NAME.fullmatch(name) else "(unreadable)" for name in unknown))
        known = ", ".join(sorted(_DRIVERS | _OURS | _ALLOWED.keys()))
        raise ValueError(f"has parameters that are not supported: {named}; supported are {known}")
    for name, values in _ALLOWED.items():
        if given.get(name, "") not in ("", *values):
            why = f" ({_WHY[name]})" if name in _WHY else ""
            raise ValueError(f"has {name} with a value other than {', '.join(values)}{why}")
    for name in _FILES:
        file = given.get(name, "")
        if file and not (name == "sslrootcert" and file == _SYSTEM) and not Path(file).is_file():
            raise ValueError(f"has {name} that names no file")
    return {name: value for name, value in given.items() if value and name in _DRIVERS | _OURS}


def _once(query: str) -> dict[str, str]:
    """Each parameter with its value. Two different values are an error, because the weaker one may be the mistake."""
    given: dict[str, str] = {}
    for pair in parse_qsl(query, keep_blank_values=True):
        name, value = (part.strip() for part in pair)
        value = value.lower() if name in _ALLOWED or name == "ssl" else value
        if value and given.get(name) and given[name] != value:
            named = name if _NAME.fullmatch(name) else "(unreadable)"
            raise ValueError(f"has {named} more than once, with different values: give it once")
        given[name] = value or given.get(name, "")
    return given


def _ssl(given: dict[str, str]) -> dict[str, str]:
    """Translates `ssl`, as in other drivers' URLs, to `sslmode`. The machine's roots require verify-full."""
    ssl = given.pop("ssl", "")
    if ssl:
        mode = _SSL.get(ssl, ssl)
        if mode not in _ALLOWED["sslmode"]:
            raise ValueError("has ssl with a value other than true, false or one of sslmode")
        chosen = given.setdefault("sslmode", mode)
        stricter = mode == "require" and chosen in ("verify-ca", "verify-full")
        if chosen != mode and not stricter:
            raise ValueError("has ssl and sslmode that contradict each other: give sslmode alone")
    if given.get("sslrootcert") == _SYSTEM and given.setdefault("sslmode", "verify-full") != "verify-full":
        raise ValueError("has sslrootcert=system, which goes with sslmode=verify-full")
    if given.get("sslrootcert") == _SYSTEM and ("sslcert" in given or "sslcrl" in given):
        raise ValueError("has sslrootcert=system, which does not go with sslcert or sslcrl: name the CA's file")
    return given


def _seconds(given: str) -> float:
    """For libpq 0 means no limit. Here it means the default, so that no caller waits for ever."""
    if not given:
        return CONNECT_SECONDS
    if not given.isdecimal() or int(given) > _MOST_SECONDS:
        raise ValueError(
            f"has connect_timeout other than a whole number of seconds from 1 to {_MOST_SECONDS}, or 0 for the default"
        )
    return float(given) or CONNECT_SECONDS
