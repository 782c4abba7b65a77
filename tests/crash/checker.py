"""The checker: it finds faults from the emulators' effect log alone.

Several model calls for a message are not a fault, and one answer may cover several messages. Each acknowledged message
must be covered by one answer, no task may be made twice, and no person may see another person's data.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import combinations, pairwise
from typing import TYPE_CHECKING

from emulators.openai import load_rule
from kernel_service import texts
from tests.crash import evidence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from emulators.effects import Effect
    from tests.crash.evidence import Evidence, Message, Part, Reply

FROZEN_WRITE_SECONDS = 2.0
"""The time in which a frozen write completes after its process resumes."""

WITHHELD = "status withheld"
FROZEN = "frozen in a write"


class Kind(StrEnum):
    LOST = "lost"
    GIVEN_UP = "given up without fault"
    TWICE = "answered twice"
    TOOL_TWICE = "tool run twice"
    ORDER = "out of order"
    MIXED = "mixed"
    REPEATED = "part repeated"


@dataclass(frozen=True, slots=True)
class Fault:
    """`about` is a token, or the callback id of a part."""

    kind: Kind
    about: str
    why: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.about}: {self.why}"


@dataclass(slots=True)
class Verdict:
    """`residue` counts repeated sends that the design allows, by reason. `silent` counts texts without a token."""

    messages: int = 0
    answers: int = 0
    tasks: int = 0
    model_calls: int = 0
    faults: list[Fault] = field(default_factory=list)
    residue: Counter[str] = field(default_factory=Counter)
    silent: Counter[str] = field(default_factory=Counter)

    def count(self, kind: Kind) -> int:
        return sum(fault.kind is kind for fault in self.faults)


def judge(log: Iterable[Effect]) -> Verdict:
    """Check a complete log: the time limit of every answer has passed."""
    found = evidence.read(log)
    answers = _answers(found)
    verdict = Verdict(
        messages=sum(message.taken > 0 for message in found.messages.values()),
        answers=sum(bool(reply.tokens) for reply in found.replies.values()),
        tasks=len(found.executions),
        model_calls=len(found.model_calls),
        silent=Counter(_text(reply) for reply in found.replies.values() if not reply.tokens),
    )
    _lost(found, answers, verdict)
    for executions in found.executions.values():
        if again := sum(_frozen_in_it(found, *two, of_kernel=True) for two in pairwise(executions)):
            verdict.residue[FROZEN] += again
    for look in (_twice, _tool_twice, _out_of_order, _mixed):
        verdict.faults += look(found, answers)
    _repeated(found, verdict)
    return verdict


Answers = dict[str, list["Reply"]]
"""The replies that name a token, by token."""


def _answers(found: Evidence) -> Answers:
    answers: defaultdict[str, list[Reply]] = defaultdict(list)
    for reply in found.replies.values():
        for token in reply.tokens:
            answers[token].append(reply)
    return dict(answers)


def _text(reply: Reply) -> str:
    return str(next(iter(reply.sent.values())).accepted[0].detail["text"])


def _lost(found: Evidence, answers: Answers, verdict: Verdict) -> None:
    silence: defaultdict[str, list[Message]] = defaultdict(list)
    for message in found.messages.values():
        if message.token in answers:
            verdict.faults += _incomplete(found, message, answers[message.token][0])
        elif message.taken:
            silence[_last_call(found, message)].append(message)
    failed = texts.answers.FAILED
    apologies = [reply for reply in found.replies.values() if _text(reply) == failed and not reply.missing]
    for together in silence.values():
        apology = _apology(together[0], apologies)
        if apology is not None:
            apologies.remove(apology)
        kind, why = _UNANSWERED if apology is None else _APOLOGISED
        verdict.faults += [Fault(kind, message.token, why) for message in together]


def _last_call(found: Evidence, message: Message) -> str:
    """The last model call that contained it. It and the other unanswered messages of the call were in one turn."""
    return found.last_calls.get(message.token, message.token)


def _incomplete(found: Evidence, message: Message, reply: Reply) -> Iterator[Fault]:
    if not message.taken:
        return
    if reply.missing:
        yield Fault(Kind.LOST, message.token, f"parts {reply.missing} of {reply.parts} were never sent")
    elif message.kind == "task" and not found.executions.get(message.token):
        yield Fault(Kind.LOST, message.token, "answered, and its task was never made")


_UNANSWERED = Kind.LOST, "acknowledged, and no answer names it"
_APOLOGISED = Kind.GIVEN_UP, "its person was told that something went wrong"


def _apology(message: Message, apologies: list[Reply]) -> Reply | None:
    """An apology that this person was sent after the message. Each apology covers one turn."""
    for apology in apologies:
        sent = apology.sent[1].accepted[0]
        if sent.person == message.phone and message.posted < sent.number:
            return apology
    return None


def _twice(_: Evidence, answers: Answers) -> Iterator[Fault]:
    for token, replies in answers.items():
        if len(replies) > 1:
            yield Fault(Kind.TWICE, token, f"answered by {', '.join(reply.id for reply in replies)}")


def _tool_twice(found: Evidence, _: Answers) -> Iterator[Fault]:
    for token, executions in found.executions.items():
        if len(executions) > 1 and not all(_frozen_in_it(found, *two, of_kernel=True) for two in pairwise(executions)):
            numbers = ", ".join(str(execution.number) for execution in executions)
            yield Fault(Kind.TOOL_TWICE, token, f"executed {len(executions)} times, in the log at {numbers}")


# --- order ------------------------------------------------------------------------------------------------------


def _out_of_order(found: Evidence, answers: Answers) -> Iterator[Fault]:
    by_phone: defaultdict[str, list[Message]] = defaultdict(list)
    for message in found.messages.values():
        by_phone[message.phone].append(message)
    for messages in by_phone.values():
        yield from _overtaken(found, answers, messages)
    for reply in found.replies.values():
        parts = [reply.sent[number] for number in sorted(reply.sent)]
        for earlier, later in pairwise(parts):
            if later.first < earlier.first:
                yield Fault(Kind.ORDER, later.key, f"sent before part {earlier.number}")


def _overtaken(found: Evidence, answers: Answers, messages: list[Message]) -> Iterator[Fault]:
    """One fault for each overtaken message. It names the first message that overtook."""
    told: set[str] = set()
    for earlier, later in combinations(messages, 2):
        if earlier.token not in told and earlier.surely_before(later):
            why = _overtakes(found, answers, earlier, later)
            if why:
                told.add(earlier.token)
                yield Fault(Kind.ORDER, earlier.token, why)


def _overtakes(found: Evidence, answers: Answers, earlier: Message, later: Message) -> str:
    """Why `later` overtakes; "" if it does not. A message that arrives late may be answered next.

    Among messages that wait together, or are answered together, the earlier one must come first.
    """
    one, other = answers.get(earlier.token), answers.get(later.token)
    together = one and other and one[0] is other[0]
    if not together and not earlier.waited_with(later):
        return ""
    tokens = earlier.token, later.token
    made = [executions[0].number for token in tokens if (executions := found.executions.get(token))]
    if made != sorted(made):
        return f"the task of {later.token}, which was sent later, was made before"
    if not one or not other:
        return ""
    first, second = one[0], other[0]
    if together:
        named = first.tokens
        return f"named after {later.token}" if named.index(earlier.token) > named.index(later.token) else ""
    return f"answered after {later.token}, which was sent later" if first.ended > second.began else ""


# --- of whom ----------------------------------------------------------------------------------------------------


def _mixed(found: Evidence, _: Answers) -> Iterator[Fault]:
    for reply in found.replies.values():
        for part in reply.sent.values():
            yield from _sent_to_others(found, part)
    yield from _shared_ids("Composio", _ids_at_composio(found))
    yield from _shared_ids("the model", _ids_at_the_model(found))
    for effect in found.foreign:
        yield Fault(Kind.MIXED, effect.key, "sealed content of one person in another's request")


def _sent_to_others(found: Evidence, part: Part) -> Iterator[Fault]:
    for effect in part.accepted:
        for token in evidence.tokens(str(effect.detail["text"])):
            message = found.messages.get(token)
            if message is None:
                yield Fault(Kind.MIXED, token, "answered, but never written")
            elif message.phone != effect.person:
                yield Fault(Kind.MIXED, token, f"told to another person, in {part.key}")


def _ids_at_composio(found: Evidence) -> Iterator[tuple[str, str]]:
    """Pairs of a token's person and the vendor id under which it was used."""
    for token, executions in found.executions.items():
        for effect in executions:
            yield _person_of(token), effect.person


def _ids_at_the_model(found: Evidence) -> Iterator[tuple[str, str]]:
    for effect in found.model_calls:
        for person in effect.detail["load_of"]:
            yield person, effect.person


def _shared_ids(vendor: str, pairs: Iterable[tuple[str, str]]) -> Iterator[Fault]:
    """Each person must have one id at a vendor, and share it with no other person."""
    ids: dict[str, str] = {}
    people: dict[str, str] = {}
    for person, vendor_id in dict.fromkeys(pairs):
        if ids.setdefault(person, vendor_id) != vendor_id:
            yield Fault(Kind.MIXED, person, f"has two ids at {vendor}: {ids[person]} and {vendor_id}")
        if people.setdefault(vendor_id, person) != person:
            yield Fault(Kind.MIXED, person, f"shares an id at {vendor} with {people[vendor_id]}")


def _person_of(token: str) -> str:
    found = load_rule.TOKEN.fullmatch(token)
    return found[1] if found else token


# --- repeated sends ---------------------------------------------------------------------------------------------


def _repeated(found: Evidence, verdict: Verdict) -> None:
    for reply in found.replies.values():
        for part in reply.sent.values():
            for before, again in pairwise(part.accepted):
                reason = _stated(found, part.key, before, again)
                if reason:
                    verdict.residue[reason] += 1
                else:
                    verdict.faults.append(Fault(Kind.REPEATED, part.key, _unexcused(found, part.key, again)))


def _stated(found: Evidence, key: str, before: Effect, again: Effect) -> str:
    """The design's reason for a repeated send; empty if there is none.

    A frozen process excuses only the write in which it was frozen: another gateway sent the part meanwhile, and the
    process sends it once more as soon as it resumes.
    """
    if _frozen_in_it(found, before, again, of_kernel=False):
        return FROZEN
    withheld = any(number < again.number for number in found.statuses_withheld[key])
    return WITHHELD if withheld and not _known(found, key, again) else ""


def _frozen_in_it(found: Evidence, before: Effect, again: Effect, *, of_kernel: bool) -> bool:
    """Whether `again` is the write of a process that was frozen in it, while another process made `before`.

    Kernel services call tools, and gateways send.
    """
    return any(
        frozen.key.startswith("kernel_service") is of_kernel
        and frozen.number < before.number < resumed.number < again.number
        and again.at - resumed.at <= FROZEN_WRITE_SECONDS
        for frozen, resumed in found.freezes
    )


def _unexcused(found: Evidence, key: str, again: Effect) -> str:
    known = _known(found, key, again)
    return "accepted again after its status had been taken" if known else "accepted again, and no status was withheld"


def _known(found: Evidence, key: str, again: Effect) -> bool:
    return any(number < again.number for number in found.statuses_taken[key])
