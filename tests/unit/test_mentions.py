"""Files and names of the code that docstrings, comments and documents mention exist."""

from __future__ import annotations

import ast
import re
import subprocess
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
_HISTORY = ("CHANGELOG.md", "kernel_service/storage/migrations/versions/")
"""What is said there is of its time."""
_FILE = re.compile(r"(?<![\w/.:@<{*$-])(?:\.{0,2}/)?(?:[\w-]+/)*[\w-]+\.(?:py|proto|md|sh|html|css)\b(?![\w/*.(-])")
_DOTTED = re.compile(r"(?<![\w/.@:-])(?:[a-z_]\w*\.)+[A-Za-z_]\w*(?![\w/@-]|\.\w)")
_SUFFIX_IN_TEXT = re.compile(r"\.(?:py|proto|md|sh|html|css)\b")
_COMMENT = re.compile(r"(?:^|\s)#\s.*$")
_SUFFIX = re.compile(r"\.(?:py|proto|md|sh|html|css|toml|pem|key)$")
_BARE = re.compile(r"`([\w-]+\.py)`")
_ITEM = re.compile(r"\n(?=\s*(?:[-|]|\d+\.) )|\n\n")
"""Where an item of a list, a row of a table or a paragraph ends."""
_FOREIGN = {
    "core/models/triggers.py": "composio",
    "webhook_events.py": "composio",
    "composio_client/__init__.py": "composio_client",
    "resources/auth/session.py": "composio_client",
    "auth_configs.py": "composio_client",
    "webhook_subscriptions.py": "composio_client",
    "types/responses/response_create_params.py": "openai",
    "response_compact_params.py": "openai",
    "descriptor.proto": "protobuf",
}
"""Files of other projects."""
_SAVED = re.compile(r"\b[Ss]ave (?:this|it) as `([\w./-]+)`")
_NOT_CODE = {"context.id", "package.module", "outbox.lease", "turn.person_id", "message.payload"}
"""A column, a placeholder, an attribute of a store: they look like names in modules of ours."""


@cache
def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for path in listed.stdout.splitlines() if (ROOT / path).exists()]


@cache
def endings() -> frozenset[str]:
    """Each tracked path, and what is left of it without its first folders."""
    return frozenset("/".join(parts[at:]) for parts in map(_parts, tracked()) for at in range(len(parts)))


def _parts(path: str) -> list[str]:
    return path.split("/")


@cache
def names() -> dict[str, set[str]]:
    """By dotted module name, whole or without its first packages: what it defines, and its submodules."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for path in tracked():
        if not path.endswith(".py"):
            continue
        parts = path.removesuffix(".py").removesuffix("/__init__").split("/")
        defined = set(_defined(tree(path)))
        for start in range(len(parts)):
            found[".".join(parts[start:])] |= defined
            for end in range(start + 1, len(parts)):
                found[".".join(parts[start:end])].add(parts[end])
    return found


@cache
def tree(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


def _defined(module: ast.Module) -> Iterator[str]:
    for node in module.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


def texts(path: str) -> Iterator[tuple[int, str]]:
    """Numbered lines of prose: of a document without its generated parts, of code its comments and docstrings."""
    written = (ROOT / path).read_text(encoding="utf-8")
    if not path.endswith(".py"):
        generated = False
        for number, line in enumerate(written.splitlines(), 1):
            generated = line.endswith(": begin -->") or (generated and not line.endswith(": end -->"))
            if not generated:
                yield number, line
        return
    for number, line in enumerate(written.splitlines(), 1):
        if "#" in line and (comment := _COMMENT.search(line)):
            yield number, comment[0]
    for node in _documented(tree(path)):
        for statement in node.body:
            match statement:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    yield from enumerate(text.splitlines(), statement.lineno)


def _documented(
    node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef,
) -> Iterator[ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    """A module, class or function, and those inside."""
    yield node
    for statement in node.body:
        if isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _documented(statement)


@cache
def saved_by_readers() -> set[str]:
    """The files of a reader: a page of the documents tells them to save each."""
    pages = [path for path in tracked() if path.startswith("docs/") and path.endswith(".md")]
    return {name for page in pages for name in _SAVED.findall((ROOT / page).read_text())}


def resolves_to_a_file(mention: str, path: str) -> bool:
    bare = mention.removeprefix("./")
    if path.startswith("docs/") and bare in saved_by_readers():
        return True
    if bare in _FOREIGN or bare.startswith("google/protobuf/") or (ROOT / path).parent.joinpath(bare).exists():
        return True
    return bare in endings()


def resolves_to_a_name(mention: str) -> bool:
    """Whether it exists, or looks like no name of a module of ours."""
    module, _, name = mention.rpartition(".")
    return module not in names() or name in names()[module]


@pytest.mark.slow
def test_mentioned_files_exist() -> None:
    documents = [
        path for path in tracked() if path.endswith((".py", ".md", ".proto")) and not path.startswith(_HISTORY)
    ]
    lost = [
        f"{path}:{line} {mention}"
        for path in documents
        for line, text in texts(path)
        if _SUFFIX_IN_TEXT.search(text)
        for mention in _FILE.findall(text)
        if not resolves_to_a_file(mention, path)
    ]
    assert not lost, "\n".join(lost)


@pytest.mark.slow
def test_mentioned_names_exist() -> None:
    code = [path for path in tracked() if path.endswith(".py") and not path.startswith(_HISTORY)]
    lost = [
        f"{path}:{line} {mention}"
        for path in code
        for line, text in texts(path)
        for mention in _DOTTED.findall(text)
        if not _SUFFIX.search(mention) and mention not in _NOT_CODE and not resolves_to_a_name(mention)
    ]
    assert not lost, "\n".join(lost)


def folders(mention: str) -> set[str]:
    """The folders that hold the file of a mention."""
    return {path.rpartition("/")[0] for path in tracked() if f"/{path}".endswith(f"/{mention}")}


@pytest.mark.slow
def test_a_bare_file_name_is_in_a_folder_that_its_item_names() -> None:
    """A bare name is read as a file of a folder beside it, also where another folder has a file of that name."""
    lost = []
    for path in (each for each in tracked() if each.endswith(".md") and not each.startswith(_HISTORY)):
        prose = "\n".join(text for _, text in texts(path))
        for item in _ITEM.split(prose):
            named = {folder for mention in _FILE.findall(item) if "/" in mention for folder in folders(mention)}
            bare = [mention for mention in _BARE.findall(item) if named]
            lost += [
                f"{path} {each}" for each in bare if not any(not f.count("/") or f in named for f in folders(each))
            ]
    assert not lost, "\n".join(lost)
