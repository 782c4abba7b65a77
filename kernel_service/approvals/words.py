"""The words of names: of tools that plainly write, of arguments that reach no other person, and of those that do.

A word on no list makes a call ask. The lists of plain words may therefore be incomplete, but never too wide.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from kernel_service.approvals.disguises import plain_text

if TYPE_CHECKING:
    from collections.abc import Container

_BOUNDARY: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORD: Final = re.compile(r"[^\W\d_]+|\d+")


def listed(words: str) -> frozenset[str]:
    return frozenset(words.split())


def words_of(name: str) -> list[str]:
    """`dueOn`, `due_on`, `due-on` and `DUE_ON` alike; digits are separate words."""
    return [word.casefold() for word in _WORD.findall(_BOUNDARY.sub(" ", plain_text(name)))]


def words_of_tool(name: str, toolkit: str) -> list[str]:
    """Without the toolkit's own name, wherever it stands: `LINEAR_CREATE_LINEAR_ISSUE`, `ONE_DRIVE_…` of `onedrive`."""
    words, own = words_of(name), "".join(words_of(toolkit))
    kept: list[str] = []
    while words:
        length = next((n for n in range(1, len(words) + 1) if "".join(words[:n]) == own), 0)
        if not length:
            kept.append(words[0])
        words = words[length or 1 :]
    return kept


def among(word: str, known: Container[str]) -> bool:
    """In the singular or in the plural."""
    return word in known or (word.endswith("s") and word[:-1] in known)


VERBS: Final = listed("""
    add append close complete create edit finish insert make mark modify patch rename reopen save set update
    upsert write
    """)
THINGS: Final = listed("""
    block board bullet bucket calendar card cell checklist children chapter column content database date doc
    document draft duedate entry entries event field file folder goal heading image item issue label line list
    markdown memo milestone note notebook objective page paper paragraph plan presentation project property
    properties quicknote range record reminder row section sheet slide spreadsheet step subitem subtask table
    tag task tasklist template text time timer title todo value worksheet
    """)
EXISTING_REACH: Final = frozenset({"event"})
"""Things that may have guests already, who are notified of each change."""
_CONNECTING: Final = listed("""
    a action all an and as at batch body bulk by custom email for from google id in into its multiple my new of
    on one or quick read single the this thread to type unread with
    """)
PLAIN_TOOL: Final = VERBS | THINGS | _CONNECTING

TEXTS: Final = listed("body comment content desc description markdown message name note subject summary text title")
"""Arguments that hold prose: an address in it reaches no one by itself, and its digits may be a telephone number."""
REFERENCES: Final = listed("""
    at before after date datetime day due end gid id key minute millisecond ms on second start time timestamp
    uid uuid
    """)
"""Arguments whose digits are an id or a time."""
PLAIN_ARGUMENT: Final = (
    THINGS
    | REFERENCES
    | listed("""
        a align an annotation as background base body bold cells child class color colour completed completion
        content custom data desc description details dimension direction done duration effort element emoji
        estimate estimated extra first font format formula frequency height hour html icon important in include
        indent index info input insert interval is italic language last left level liked local location major
        markdown mode month multi name new notion number object of offset option or order page paragraph parent
        percent place point pos position prefix priority progress query quick recurrence recurring remind repeat
        response rich right segment select size sort sprint stage start starred state status strikethrough
        string style subject subtask subtype suffix summary the timezone top transparency type underline unit
        update version week weekday width workspace year zone
        """)
)
PLAIN_NAMES: Final = listed("addlabelids createmeetingroom messageid teamid threadid todo")
"""Arguments that address no other person, although their words may do so in other names."""
PLAIN_VALUES: Final[dict[str, tuple[str | bool, ...]]] = {
    "assignee": ("me",),
    "notifyall": (False,),
    "sendupdates": ("none",),
    "visibility": ("default", "private"),
}
"""Arguments that address another person, unless their value is exactly one of these."""

CONTRADICTING: Final = listed("""
    add append create delete edit forward insert invite modify patch pay post publish refund remove rename reply
    send share transfer update upsert
    """)
"""Words that a tool which only reads does not have in its name."""
REACHING: Final = listed(
    """
    assign ban broadcast buy call cancel charge clear decline delete destroy disable disconnect dispatch drop
    execute forward grant invite kick leave mail merge message move notify order overwrite pay post publish
    purge refund reject remove reply replies replace reset respond revoke sell send share shared sharing sms
    submit subscribe terminate transfer trash trigger truncate tweet retweet unpublish unshare unsubscribe wipe
    withdraw

    access acl ad admin amount anyone assignee attendee audience bank bcc bic bid budget callback campaign cc
    channel chat checkout collaborator comment contact cost coupon credential currency customer cvv deploy
    destination dm domain donation email endpoint everyone external fee follower following forwarding group
    guest host hook href iban invitation invitee invoice key link meeting member membership mention mobile
    newsletter notification owner participant party password payee payment payout people permission person phone
    price privacy private public purchase recipient request role salary scope secret subscriber subscription
    team telephone tip token transaction url uri user username vendor visibility visible wallet watcher webhook
    website
    """
)
"""Words of calls that destroy, reach others, widen access or pay. Such a list is never complete. It decides alone only
where the operator (`KERNEL_APPROVE=destructive`) or a tool's developer trusts the calls that it does not match.
"""
REACHED: Final = listed("""
    assignee attendee bcc callee cc channel chat collaborator contact customer destination email follower guest invitee
    mail member mobile participant party payee people person phone recipient reviewer room sms subscriber tel telephone
    to watcher
    """)
"""Words in the name of an argument that says whom a call reaches."""
RIGHTS: Final = listed("access owner permission role scope visibility")
"""Words in the name of an argument that says who may do what."""
PARTIES: Final = (
    (REACHED - {"room"})
    | RIGHTS
    | listed("""
        account address addresses anyone audience bic callback domain forward forwarding group iban invite public share
        shared sharing user username wallet webhook
        """)
)
"""Words in the name of an argument that says whom a call concerns: a prompt shows such an argument first."""
ADDRESSEES: Final = (REACHING | PARTIES) - {"comment", "key", "message", "request"}
"""Only in names of arguments. In a tool's name "to" has no meaning, a message is a text, and a key may be any id."""
URLS: Final = listed("callback domain endpoint host hostname href link site uri url webhook webpage website")
WEB: Final = URLS | listed(
    """
    bing browse browser crawl crawler duckduckgo google http https internet online scrape scraper web wikipedia
    """
)
"""Of the names of developers' tools."""


def is_reference(name: str) -> bool:
    """Whether the digits of an argument of this name are an id or a time, rather than a telephone number."""
    last = next(reversed(words_of(name)), "")
    return among(last, REFERENCES | THINGS) and not among(last, TEXTS)
