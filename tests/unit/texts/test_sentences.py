"""All fixed sentences: which values each takes, that these go in as they are, and what no sentence says."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping

import pytest

from kernel_service import texts
from kernel_service.connections.web import pages
from kernel_service.ports.approvals import DecisionOutcome, Reason

MODULES = [texts.answers, texts.approvals, texts.attachments, texts.connecting, texts.limits]
PLACEHOLDERS = {
    "answers.link_warning": {"hosts": "Iterable[str]"},
    "answers.no_words_after": {"tools": "Iterable[str]"},
    "approvals.cut": {"count": "int"},
    "approvals.decoded": {"names": "Iterable[str]"},
    "approvals.in_file": {"filename": "str", "kilobytes": "int"},
    "approvals.in_words": {"tool": "str"},
    "approvals.odd_letters": {"letters": "str"},
    "approvals.others_in_file": {"count": "int"},
    "approvals.permission_given": {"action": "str"},
    "approvals.permissions": {"actions": "Iterable[str]"},
    "approvals.with_account": {"tool": "str", "account": "str"},
    "attachments.unopened": {"kind": "str", "problem": "str"},
    "attachments.unsupported": {"kind": "str"},
    "connecting.code_message": {"code": "str"},
    "connecting.code_never_came": {"toolkit": "str"},
    "connecting.code_too_late": {"toolkit": "str"},
    "connecting.code_used_elsewhere": {"toolkit": "str"},
    "connecting.connect_also": {"toolkit": "str"},
    "connecting.connect_failed": {"toolkit": "str"},
    "connecting.connected": {"toolkit": "str", "account": "str"},
    "connecting.connection_lost": {"toolkit": "str"},
    "connecting.consent_denied": {"toolkit": "str"},
    "connecting.link_in_two_browsers": {"toolkit": "str"},
    "connecting.named": {"toolkit": "str", "account": "str"},
    "limits.budget_spent": {"seconds": "float"},
    "limits.busy": {"seconds": "float"},
    "limits.last_fixed_reply": {"seconds": "float"},
    "limits.last_question": {"seconds": "float"},
    "limits.last_reply": {"seconds": "float"},
}
"""Every value that a sentence takes, and its type."""
CHOOSES = {"attachments.unopened", "attachments.unsupported", "approvals.in_words"}
"""These choose a sentence by their values, and say none of them."""
ODD = "{toolkit} {0.__class__} {} %s ${code} \\1 }{"


def functions() -> Iterator[tuple[str, Callable[..., str]]]:
    for module in MODULES:
        name = module.__name__.rpartition(".")[2]
        for each, value in vars(module).items():
            if inspect.isfunction(value) and value.__module__ == module.__name__ and not each.startswith("_"):
                yield f"{name}.{each}", value


def sentences(value: object, where: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from sentences(inner, f"{where}.{key}")


def fixed() -> list[tuple[str, str]]:
    public = [(module, name) for module in [*MODULES, pages] for name in vars(module) if name.strip("_").isupper()]
    return [each for module, name in public for each in sentences(getattr(module, name), f"{module.__name__}.{name}")]


def said(function: Callable[..., str]) -> str:
    values: dict[str, object] = {"str": ODD, "Iterable[str]": [ODD, ODD], "int": 7, "float": 700.0}
    taken = inspect.signature(function).parameters.values()
    return function(**{each.name: values[str(each.annotation)] for each in taken})


def test_these_are_all_placeholders_and_their_types() -> None:
    taken = {
        name: {each.name: str(each.annotation) for each in inspect.signature(function).parameters.values()}
        for name, function in functions()
    }
    assert taken == PLACEHOLDERS


@pytest.mark.parametrize("name", sorted(PLACEHOLDERS.keys() - CHOOSES))
def test_a_value_goes_in_as_it_is(name: str) -> None:
    function = dict(functions())[name]
    text = said(function)
    kinds = {str(each.annotation) for each in inspect.signature(function).parameters.values()}
    assert (ODD in text) == bool(kinds & {"str", "Iterable[str]"})


@pytest.mark.parametrize(("where", "sentence"), fixed())
def test_a_sentence_without_values_has_no_placeholder(where: str, sentence: str) -> None:
    if where.startswith(pages.__name__):
        return  # its templates are string.Template: escaped values are filled in
    assert not re.search(r"[{}]|%s|\$\w", sentence), where


def told() -> list[tuple[str, str]]:
    made = [(name, said(function)) for name, function in functions() if name not in CHOOSES]
    made += [(f"unopened.{kind}", texts.attachments.unopened("image", kind)) for kind in texts.attachments.FOR_MODEL]
    return [*fixed(), *made]


@pytest.mark.parametrize(("where", "sentence"), told())
def test_the_language_is_plain(where: str, sentence: str) -> None:
    """Words that a reader who learned English at school stumbles over."""
    odd = re.compile(
        r"\b(lapsed?|afresh|astray|anew|whom it was|no more than|counts no more|at present|come of it|need your word"
        r"|his|her|him|he|she|somebody else's chat|no longer good|good for ten)\b",
        re.IGNORECASE,
    )
    assert not odd.search(sentence), where


def test_each_state_has_its_sentence() -> None:
    assert texts.approvals.WHY.keys() == {reason.value for reason in Reason}
    silent = {DecisionOutcome.APPROVED, DecisionOutcome.REFUSED}
    assert texts.approvals.WITHOUT_EFFECT.keys() == {each.value for each in DecisionOutcome if each not in silent}


def test_buttons_are_of_one_vocabulary_and_fit_whatsapp() -> None:
    told_on = texts.approvals
    titles = [told_on.APPROVE, told_on.APPROVE_ALL, told_on.ALWAYS_APPROVE, told_on.REFUSE, told_on.REFUSE_ALL]
    assert all(len(title) <= 20 for title in titles)
    assert all(re.search(r"approve|refuse", title, re.IGNORECASE) for title in titles)
