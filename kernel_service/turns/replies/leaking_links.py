"""Links of an answer that may carry what the model has seen to whoever runs the site: the person is warned of them.

An instruction in a mail can have the model write a link whose query holds other mails; one tap sends them. A link that
was given as it is (by the person, a tool, a file's name) carries nothing that was added to it, and is shown as it is.
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
"""That a warning names."""
HIDDEN: Final = "an address that hides where it leads"
_SCHEMES: Final = "mailto|tel|sms|smsto|whatsapp|tg|viber"
_LINKS: Final = re.compile(
    rf"""
      <(?P<angle>[a-z][a-z0-9+.-]{{1,30}}:[^<>\n]+)>                      # may hold spaces
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
"""What ends a sentence, or is markup, rather than belongs to the link before it."""
_NO_DOMAINS: Final = frozenset(
    "pdf docx xlsx pptx odt txt csv tsv png jpg jpeg gif webp json yaml yml xml html htm log ics js ts css exe".split()  # noqa: SIM905
)
_SECOND_LEVELS: Final = frozenset({"co", "com", "org", "net", "ac", "gov", "edu", "or", "ne"})
_PARTS: Final = frozenset(
    {"www", "app", "web", "m", "my", "en", "mail", "docs", "drive", "calendar", "maps", "accounts", "account", "login"}
    | {"help", "support", "blog", "shop", "store", "news", "developer", "developers", "console", "status", "meet"}
)
"""Parts of hosts that sites have for everybody: none of them tells anything."""
_KNOWN_DEPTH: Final = 5


def without_images(text: str) -> str:
    """With each image as a link: what a channel would load by itself sends its address."""
    return _IMAGE.sub("", text)


def holds_link(text: str) -> bool:
    """Whether there is a link in the text, wherever it leads."""
    return next(_links_in(text), None) is not None


def carrying_hosts(text: str, items: Iterable[HistoryItem]) -> list[str]:
    """The hosts of links in an answer that may carry what the model saw, each once. `items`: what it was shown."""
    found = list(dict.fromkeys(_links_in(text)))
    if not found:
        return []
    given = _given(items)
    hosts = {host_of(link) for link in given}
    carrying = [link for link in found if link not in given and _carries(link, hosts)]
    return list(dict.fromkeys(host_of(link) or HIDDEN for link in carrying))[:MOST_HOSTS]


def _carries(link: str, given_hosts: set[str]) -> bool:
    """Whether something beside a site's own name stands in it: in the query, the path, a part of the host, a port."""
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
    """As it is looked up, so that look-alike letters show; of an address without a host what tells where it leads."""
    try:
        parts = urlsplit(link)
        host = parts.hostname or (parts.path if parts.scheme in ("mailto", "tel", "sms", "smsto") else parts.scheme)
    except ValueError:
        return ""
    try:
        return host.rstrip(".").encode("idna").decode().removeprefix("www.")
    except UnicodeError:
        return host.encode("ascii", "replace").decode()


# --- which links stand in a text --------------------------------------------------------------------------------------


def _links_in(text: str) -> Iterator[str]:
    """As they lead somewhere, whatever form they are written in. A bare domain counts as a link: apps make it one."""
    plain = _plain(text)
    # A channel may drop what emphasises a part of a link: in a heading, all is bold already.
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
    """Without what a reader does not see, and what markup takes away."""
    seen = "".join(char for char in unicodedata.normalize("NFKC", html.unescape(text)) if _is_seen(char))
    return _ESCAPED.sub(r"\1", seen.replace("。", "."))


def _is_seen(char: str) -> bool:
    return unicodedata.category(char) != "Cf"


def _canonical(link: str) -> str:
    """With its scheme and host in small letters, and without what only ends the sentence."""
    link = link.rstrip(_LAST)
    scheme, colon, rest = link.partition(":")
    if not rest.startswith("//"):
        return scheme.lower() + colon + rest
    host = re.split(r"[/?#]", rest[2:], maxsplit=1)[0]
    return f"{scheme.lower()}://{host.lower()}{rest[2 + len(host) :]}"


# --- which were given -------------------------------------------------------------------------------------------------


def _given(items: Iterable[HistoryItem]) -> set[str]:
    """Links of the person and of tools. What the model wrote before a tool repeated it was not given to it."""
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
    """All texts in a value, and in the JSON that texts hold."""
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
