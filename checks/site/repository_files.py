"""Links to files and folders of the repository lead to pages that show them. A link to what is not there is an error.

The documents link to code by relative paths, as a code host follows them. No public address of the code is known here,
so the site has a page for each linked file, and for each linked folder one with all files in it.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes
from pygments.lexers import TextLexer, get_lexer_for_filename
from pygments.util import ClassNotFound
from sphinx.addnodes import download_reference, pending_xref

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sphinx.application import Sphinx
    from sphinx.builders.html import StandaloneHTMLBuilder
    from sphinx.util.typing import ExtensionMetadata

_FOLDER = "repository"
"""The folder of these pages in the site."""
_LEFT_OUT = (".", "__", "node_modules")
"""Beginnings of names in a folder that are no part of the repository."""


def _link(app: Sphinx, doctree: nodes.document) -> None:
    """Turn each link to an existing path that is no page of the site into a link to the page that shows it."""
    for node in list(doctree.findall(lambda node: isinstance(node, pending_xref | download_reference))):
        path = _path(app, node)
        if path is not None:
            app.env.repository_paths.add(path)  # type: ignore[attr-defined]
            address = app.builder.get_relative_uri(app.env.docname, f"{_FOLDER}/{path}")
            node.replace_self(nodes.reference("", "", *node.children, internal=True, refuri=address))


def _path(app: Sphinx, node: nodes.Element) -> str | None:
    """The path from the root of the repository; None for what MyST resolves or reports."""
    target = node.get("reftarget", "").partition("#")[0]
    if node.get("reftype") != "myst" or not target or target in app.env.found_docs:
        return None
    if node.get("refdomain") == "doc":
        target = f"/{target}.md"
    path = Path(app.env.relfn2path(target)[1])
    root = Path(app.srcdir).parent
    return str(path.relative_to(root)) if path.exists() and path.is_relative_to(root) else None


def _pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    root = Path(app.srcdir).parent
    for path in sorted(app.env.repository_paths):  # type: ignore[attr-defined]
        body = _heading(1, path) + _shown(app.builder, root, path)  # type: ignore[arg-type]
        yield f"{_FOLDER}/{path}", {"title": path, "body": body}, "page.html"


def _shown(builder: StandaloneHTMLBuilder, root: Path, path: str) -> str:
    """The text of the file; of a folder that of all its files, each below its path."""
    if (root / path).is_file():
        return _text(builder, root / path)
    return "".join(_heading(2, str(file.relative_to(root))) + _text(builder, file) for file in _files(root / path))


def _heading(level: int, path: str) -> str:
    return f"<h{level}><code>{escape(path)}</code></h{level}>"


def _files(folder: Path) -> list[Path]:
    return [
        file
        for file in sorted(folder.rglob("*"))
        if file.is_file() and not any(part.startswith(_LEFT_OUT) for part in file.relative_to(folder).parts)
    ]


def _text(builder: StandaloneHTMLBuilder, file: Path) -> str:
    try:
        text = file.read_text()
    except UnicodeDecodeError:
        return "<p>A binary file.</p>"
    try:
        language = get_lexer_for_filename(file.name, text).aliases[0]
    except ClassNotFound:
        language = TextLexer.aliases[0]
    return builder.highlighter.highlight_block(text, language, force=True)


def _begin(app: Sphinx) -> None:
    if not hasattr(app.env, "repository_paths"):
        app.env.repository_paths = set()  # type: ignore[attr-defined]


def setup(app: Sphinx) -> ExtensionMetadata:
    app.connect("builder-inited", _begin)
    app.connect("doctree-read", _link)
    app.connect("html-collect-pages", _pages)
    return {"parallel_read_safe": False}
