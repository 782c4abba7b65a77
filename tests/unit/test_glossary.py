"""The terms of ARCHITECTURE.md are the names in the code, and the words that they replace are gone from it."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from checks.reference.glossary import Term, terms
from tests.unit.test_settings_documented import ROOT

PACKAGES = ("kernel_service", "whatsapp_gateway", "kernel_client")
PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


@cache
def identifiers() -> frozenset[str]:
    """All names that the code defines: modules, packages, classes, functions, arguments, variables, attributes."""
    found = set()
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            if "versions" in path.parts:  # migrations keep the names of their time
                continue
            found |= {path.stem, path.parent.name}
            for node in ast.walk(ast.parse(path.read_text())):
                match node:
                    case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                        found.add(name)
                    case (
                        ast.arg(arg=name)
                        | ast.Name(id=name, ctx=ast.Store())
                        | ast.Attribute(attr=name, ctx=ast.Store())
                    ):
                        found.add(name)
    return frozenset(found)


def words_of(identifier: str) -> set[str]:
    return {part.lower() for part in PART.findall(identifier)}


def test_the_table_is_read() -> None:
    assert len(terms()) > 20
    assert words_of("_MostOpenTurns_of2HTTP") == {"most", "open", "turns", "of", "http"}


@pytest.mark.parametrize("row", terms(), ids=lambda row: row.term)
def test_each_term_is_in_the_code(row: Term) -> None:
    names = re.findall(r"`(\w+)`", row.names)
    assert names
    assert set(names) <= identifiers()


@pytest.mark.parametrize("row", [row for row in terms() if row.replaced], ids=lambda row: row.term)
def test_no_identifier_uses_a_replaced_word(row: Term) -> None:
    replaced = set(re.findall(r"`(\w+)`", row.replaced))
    assert not [name for name in identifiers() if words_of(name) & replaced], f"the term is: {row.term}"
