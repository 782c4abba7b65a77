"""docs/reference/sentences.md: all fixed sentences that people read, and the modules that say each."""

from __future__ import annotations

import ast
import inspect
import re
from collections import defaultdict
from functools import cache
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from checks.reference.markdown import page as written
from checks.reference.markdown import paragraphs
from kernel_service import texts
from kernel_service.connections.consent import PageKind
from kernel_service.connections.web import pages
from whatsapp_gateway.outbound import rendering

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

ROOT = Path(__file__).parents[2]
_INTRODUCTION: Final = """\
# Sentences

The model words most answers. These sentences are fixed: the service says them itself, in the chat and on the connect
pages. A value that goes into a sentence is shown in ‹angle quotes›; durations and numbers are examples.
The paths are those of modules in `kernel_service`."""
_SAMPLES: Final = {
    "float": 600.0,
    "int": 3,
    "bool": True,
}
_OF_ROWS: Final = {
    "memory.listed": [(1, "name", "‹fact›"), (2, "", "‹fact›")],
    "schedules.stay": [("‹schedule›", "‹request›")],
}
"""Arguments that are rows."""
_FOR_THE_MODEL: Final = {"FOR_MODEL"}
_WITH_MORE: Final = {PageKind.CONFIRM, PageKind.REDIRECT, PageKind.CODE}
"""The others are a title and a text."""


def page() -> str:
    return written(
        "`kernel_service/texts` and the connect pages",
        _INTRODUCTION,
        *(part for name in texts.__all__ for part in _concern(getattr(texts, name))),
        *_connect_pages(),
        *_whatsapp(),
    )


def _concern(module: ModuleType) -> Iterator[str]:
    name = module.__name__.rpartition(".")[2]
    yield f"## {name.capitalize()}"
    yield paragraphs(module.__doc__ or "")
    for member, value in vars(module).items():
        if member.startswith("_") or member in _FOR_THE_MODEL:
            continue
        said = dict(_sentences(f"{name}.{member}", value, module))
        if said:
            yield _entry(f"{name}.{member}", said, _note(value))


def _sentences(name: str, value: Any, module: ModuleType) -> Iterator[tuple[str, str]]:
    """The cases of what a member says; the case is empty if there is one alone."""
    if isinstance(value, str) and value:
        yield "", value
    elif isinstance(value, dict):
        yield from ((str(case), sentence) for case, sentence in value.items())
    elif inspect.isfunction(value) and value.__module__ == module.__name__:
        yield from _said(name, value)


def _said(name: str, function: Callable[..., str]) -> Iterator[tuple[str, str]]:
    if name == "attachments.unopened":
        yield from ((problem, texts.attachments.unopened("", problem)) for problem in texts.attachments.FOR_MODEL)
        return
    taken = inspect.signature(function).parameters.values()
    yield "", function(**{each.name: _sample(name, each) for each in taken})


def _sample(name: str, parameter: inspect.Parameter) -> Any:
    kind = str(parameter.annotation)
    if kind in _SAMPLES:
        return _SAMPLES[kind]
    if kind.startswith(("Iterable[tuple", "Sequence[tuple")):
        return _OF_ROWS[name]
    shown = f"‹{parameter.name.removesuffix('s') if kind != 'str' else parameter.name}›"
    return shown if kind == "str" else [shown]


def _entry(name: str, said: dict[str, str], note: str) -> str:
    used = ", ".join(f"`{path}`" for path in sorted(_uses()[name]))
    source = " ".join([f"`{name}`{f', said by {used}.' if used else '.'}", note]).strip()
    cases = (f"{_quote(sentence)}\n>\n> — `{case}`" if case else _quote(sentence) for case, sentence in said.items())
    return "\n\n".join([*cases, source])


def _quote(sentence: str) -> str:
    escaped = re.sub(r"([<*_`\[\]])", r"\\\1", sentence.strip())
    return "\n".join(f"> {line}".rstrip() for line in escaped.splitlines())


def _note(value: Any) -> str:
    return paragraphs(inspect.getdoc(value) or "") if inspect.isfunction(value) else ""


def _connect_pages() -> Iterator[str]:
    yield "## Connect pages"
    yield "Each has a title, a text and at most one button: `kernel_service/connections/web/pages.py`."
    attempt: Any = SimpleNamespace(toolkit_name="‹toolkit›", code="‹code›")
    in_an_app = "Instagram "
    shown = {
        "Before the vendor's page": pages.ask(attempt, "‹chat›"),
        "The same, inside an app": pages.ask(attempt, "‹chat›", in_an_app),
        "After consent": pages.code(attempt, "‹chat›", "https://example.com/{text}"),
        **{
            f"{kind.name}, status {pages.status_of(kind)}": pages.plain(kind)
            for kind in PageKind
            if kind not in _WITH_MORE
        },
    }
    for name, html in shown.items():
        yield f"{name}:\n\n{_quote(_text(html))}"


def _text(html: str) -> str:
    """The text of the page's body, a paragraph per element."""
    body = re.sub(r"\s+", " ", html.partition("<main>")[2].partition("</main>")[0])
    pieces = (re.sub(r"<[^>]+>", "", piece).strip() for piece in re.split(r"</(?:h1|p|button|a)>", body))
    return "\n\n".join(unescape(piece) for piece in pieces if piece)


def _whatsapp() -> Iterator[str]:
    yield "## WhatsApp"
    yield "The gateway adds these words where WhatsApp needs them: `whatsapp_gateway/outbound/rendering.py`."
    said = {
        "Below a link that ends": rendering.GOOD_FOR.format(minutes=3),
        "On the button of a link": rendering.OPEN,
        "On the button of a list, and above buttons without a text": rendering.CHOOSE,
        "Instead of a file that WhatsApp does not take": rendering.NOT_SENT.format(name="‹name›"),
    }
    yield from (f"{where}:\n\n{_quote(sentence)}" for where, sentence in said.items())


@cache
def _uses() -> dict[str, set[str]]:
    """`answers.CUT` → the modules of the service that use it, as paths below its package."""
    found: dict[str, set[str]] = defaultdict(set)
    package = ROOT / "kernel_service"
    for path in package.rglob("*.py"):
        if path.parent.name == "texts":
            continue
        for name in _named(ast.parse(path.read_text())):
            found[name].add(str(path.relative_to(package)))
    return found


def _named(tree: ast.Module) -> Iterator[str]:
    """`texts.answers.CUT` and `answers.CUT`, and what is imported from a module of the texts."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Attribute(value=ast.Name(id="texts"), attr=module), attr=name):
                yield f"{module}.{name}"
            case ast.Attribute(value=ast.Name(id=module), attr=name) if module in texts.__all__:
                yield f"{module}.{name}"
            case ast.ImportFrom(module=str(module), names=names) if module.startswith("kernel_service.texts."):
                yield from (f"{module.rpartition('.')[2]}.{each.name}" for each in names)
