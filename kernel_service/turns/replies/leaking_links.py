"""Links in an answer that may leak data that the model has seen to the operator of a site. The person is warned.

An instruction in a mail can make the model write a link whose query holds other mails. One tap then sends them. A link
that comes unchanged from the person, a tool or a file name leaks nothing that was added, and causes no warning.
"""

from __future__ import annotations

import html
import re
import unicodedata
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from kernel_service.storable import from_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kernel_service.ports.turns import HistoryItem

MOST_HOSTS: Final = 5
"""The most hosts that a warning names."""
HIDDEN: Final = "an address that hides where it leads"
_SCHEMES: Final = "mailto|tel|sms|smsto|whatsapp|tg|viber"
_LINKS: Final = re.compile(
    rf"""
      <(?P<angle>[a-z][a-z0-9+.-]{{1,30}}:[^<>\n]+)>                      # can contain spaces
    | (?P<full>\b(?:[a-z][a-z0-9+.-]{{1,30}}://|(?:{_SCHEMES}):|(?<=\]\()[a-z][a-z0-9+.-]{{1,30}}:)[^\s<>]+)
    | (?P<bare>(?<![\w@.-])
        (?:(?:[\w-]{{1,63}}\.)+(?:xn--[\w-]{{1,59}}|[^\W\d_]{{2,24}})(?![\w@-])|(?:\d{{1,3}}\.){{3}}\d{{1,3}}(?=[:/?\#]))
        (?:\.(?=[:/?\#]))?(?::\d+)?(?:[/?\#][^\s<>]*)?)
    """,
    re.IGNORECASE | re.VERBOSE,
)
_ESCAPED: Final = re.compile(r"\\([!-/:-@\[-`{-~])")
_EMPHASIS: Final = re.compile(r"\*\*|__|~~")
_IMAGE: Final = re.compile(r"!(?=\[)")
_LAST: Final = ".,;:!?'\"`*_~|)]}>/"
"""Characters that end a sentence or are markup, and do not belong to the link before them."""
_NO_DOMAINS: Final = frozenset(
    "pdf docx xlsx pptx odt txt csv tsv png jpg jpeg gif webp json yaml yml xml html htm log ics js ts css exe".split()  # noqa: SIM905
)
_SECOND_LEVELS: Final = frozenset({"co", "com", "org", "net", "ac", "gov", "edu", "or", "ne"})
_PARTS: Final = frozenset(
    {"www", "app", "web", "m", "my", "en", "mail", "docs", "drive", "calendar", "maps", "accounts", "account", "login"}
    | {"help", "support", "blog", "shop", "store", "news", "developer", "developers", "console", "status", "meet"}
)
"""Host labels that are common to many sites, and therefore carry no data."""
_KNOWN_DEPTH: Final = 5


def without_images(text: str) -> str:
    """Turns each image into a link, since a channel may load an image, and so request its address, automatically."""
    return _IMAGE.sub("", text)


def holds_link(text: str) -> bool:
    """Whether the text contains a link."""
    return next(_links_in(text), None) is not None


def carrying_hosts(text: str, items: Iterable[HistoryItem]) -> list[str]:
    """The hosts of links in an answer that may leak data, each once. `items`: the items that the model was shown."""
    found = list(dict.fromkeys(_links_in(text)))
    if not found:
        return []
    given = _given(items)
    hosts = {host_of(link) for link in given}
    carrying = [link for link in found if link not in given and _carries(link, hosts)]
    return list(dict.fromkeys(host_of(link) or HIDDEN for link in carrying))[:MOST_HOSTS]


def _carries(link: str, given_hosts: set[str]) -> bool:
    """Whether the link holds more than the name of a site: a query, a path, a subdomain or a port."""
    rest = link.partition(":")[2]
    if not rest.startswith("//"):
        return True
    host = host_of(link)
    if not host or rest.removeprefix("//") not in (host, f"www.{host}"):
        return True
    return host not in given_hosts and not _PARTS.issuperset(_before_site(host))


def _before_site(host: str) -> list[str]:
    """The parts before the site's own name: `a` of a.example.org, and of a.example.co.uk."""
    parts = host.split(".")
    own = 3 if len(parts) > 2 and len(parts[-1]) == 2 and parts[-2] in _SECOND_LEVELS else 2  # noqa: PLR2004
    return parts[:-own]


def host_of(link: str) -> str:
    """The host in its ASCII form, so that look-alike letters show; without a host, the target of the address."""
    try:
        parts = urlsplit(link)
        host = parts.hostname or (parts.path if parts.scheme in ("mailto", "tel", "sms", "smsto") else parts.scheme)
    except ValueError:
        return ""
    try:
        return host.rstrip(".").encode("idna").decode().removeprefix("www.")
    except UnicodeError:
        return host.encode("ascii", "replace").decode()


# --- the links in a text ----------------------------------------------------------------------------------------------


def _links_in(text: str) -> Iterator[str]:
    """The links in canonical form. A bare domain counts as a link, since apps turn it into one."""
    plain = _plain(text)
    # A channel may drop emphasis inside a link, for example in a heading, which is bold already.
    yield from _links_in_plain(plain)
    if (bare := _EMPHASIS.sub("", plain)) != plain:
        yield from _links_in_plain(bare)


def _links_in_plain(plain: str) -> Iterator[str]:
    for found in _LINKS.finditer(plain):
        link = found["angle"] or found["full"] or ""
        if bare := found["bare"]:
            domain = re.split(r"[/?#:]", bare, maxsplit=1)[0].rstrip(".")
            if domain == bare and domain.rpartition(".")[2].lower() in _NO_DOMAINS:
                continue
            link = f"https://{bare}"
        yield _canonical(link)


def _plain(text: str) -> str:
    """Removes invisible characters and markup escapes."""
    seen = "".join(char for char in unicodedata.normalize("NFKC", html.unescape(text)) if _is_seen(char))
    return _ESCAPED.sub(r"\1", seen.replace("。", "."))


def _is_seen(char: str) -> bool:
    return unicodedata.category(char) != "Cf"


def _canonical(link: str) -> str:
    """With scheme and host in lower case, and without the punctuation of the sentence."""
    link = link.rstrip(_LAST)
    scheme, colon, rest = link.partition(":")
    if not rest.startswith("//"):
        return scheme.lower() + colon + rest
    host = re.split(r"[/?#]", rest[2:], maxsplit=1)[0]
    return f"{scheme.lower()}://{host.lower()}{rest[2 + len(host) :]}"


# --- the links from the person and from tools -------------------------------------------------------------------------


def _given(items: Iterable[HistoryItem]) -> set[str]:
    """Links from the person and from tools. A link that the model wrote before a tool repeated it does not count."""
    given: set[str] = set()
    written: set[str] = set()
    for item in items:
        links = {link for text in _texts(item.data) for link in _links_in(text)}
        if item.kind == "output":
            written |= links
        elif item.kind == "input":
            given |= links
        elif item.kind == "result":
            given |= links - written
    return given


def _texts(value: Any, depth: int = 0) -> Iterator[str]:
    """All texts in a value, including those inside JSON in a text."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner, depth)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner, depth)
    elif isinstance(value, str):
        inside = _json(value) if depth < _KNOWN_DEPTH and value[:1] in "{[" else None
        yield from _texts(inside, depth + 1) if inside is not None else [value]


def _json(text: str) -> Any:
    try:
        return from_json(text)
    except ValueError:
        return None
