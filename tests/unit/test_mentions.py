"""Files and names of the code that docstrings, comments and documents mention exist."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import tokenize
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
_HISTORY = ("CHANGELOG.md", "kernel_service/storage/migrations/versions/")
"""What is said there is of its time."""
_FILE = re.compile(r"(?<![\w/.:@<{*$-])(?:\.{0,2}/)?(?:[\w-]+/)*[\w-]+\.(?:py|proto|md|sh|html|css)\b(?![\w/*.(-])")
_DOTTED = re.compile(r"(?<![\w/.@:-])(?:[a-z_]\w*\.)+[A-Za-z_]\w*(?![\w/@-]|\.\w)")
_SUFFIX = re.compile(r"\.(?:py|proto|md|sh|html|css|toml)$")
_FOREIGN = {
    "core/models/triggers.py": "composio",
    "webhook_events.py": "composio",
    "composio_client/__init__.py": "composio_client",
    "types/responses/response_create_params.py": "openai",
    "response_compact_params.py": "openai",
    "descriptor.proto": "protobuf",
}
"""Files of other projects."""
_NOT_CODE = {"context.id", "package.module", "outbox.lease"}
"""A column, a placeholder, an attribute of a store: they look like names in modules of ours."""


@cache
def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for path in listed.stdout.splitlines() if (ROOT / path).exists()]


@cache
def names() -> dict[str, frozenset[str]]:
    """By dotted module name: what it defines, and its submodules."""
    found: dict[str, set[str]] = {}
    for path in tracked():
        if not path.endswith(".py"):
            continue
        module = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        found.setdefault(module, set()).update(_defined(ast.parse((ROOT / path).read_text(encoding="utf-8"))))
        while module:
            module, _, name = module.rpartition(".")
            found.setdefault(module, set()).add(name)
    return {module: frozenset(defined) for module, defined in found.items()}


def _defined(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
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
    for token in tokenize.generate_tokens(io.StringIO(written).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(written)):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield from enumerate(text.splitlines(), node.lineno)


def resolves_to_a_file(mention: str, path: str) -> bool:
    bare = mention.removeprefix("./")
    if bare in _FOREIGN or bare.startswith("google/protobuf/") or (ROOT / path).parent.joinpath(bare).exists():
        return True
    return any(each == bare or each.endswith(f"/{bare}") for each in tracked())


def resolves_to_a_name(mention: str) -> bool:
    """Whether it exists, or looks like no name of a module of ours."""
    module, _, name = mention.rpartition(".")
    candidates = [each for each in names() if each == module or each.endswith(f".{module}")]
    return not candidates or any(name in names()[each] for each in candidates)


def test_mentioned_files_exist() -> None:
    documents = [
        path for path in tracked() if path.endswith((".py", ".md", ".proto")) and not path.startswith(_HISTORY)
    ]
    lost = [
        f"{path}:{line} {mention}"
        for path in documents
        for line, text in texts(path)
        for mention in _FILE.findall(text)
        if not resolves_to_a_file(mention, path)
    ]
    assert not lost, "\n".join(lost)


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
