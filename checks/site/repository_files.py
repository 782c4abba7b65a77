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
        files = _files(root / path)
        body = "".join(_section(app.builder, file, root) for file in files)  # type: ignore[arg-type]
        context = {"title": path, "body": f"<h1><code>{escape(path)}</code></h1>{body}"}
        yield f"{_FOLDER}/{path}", context, "page.html"


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return [
        file
        for file in sorted(path.rglob("*"))
        if file.is_file() and not any(part.startswith((".", "__")) for part in file.relative_to(path).parts)
    ]


def _section(builder: StandaloneHTMLBuilder, file: Path, root: Path) -> str:
    """The text of a file, below its path."""
    text = file.read_text()
    try:
        language = get_lexer_for_filename(file.name, text).aliases[0]
    except ClassNotFound:
        language = TextLexer.aliases[0]
    shown = builder.highlighter.highlight_block(text, language, force=True)
    return f"<h2><code>{escape(str(file.relative_to(root)))}</code></h2>{shown}"


def _begin(app: Sphinx) -> None:
    if not hasattr(app.env, "repository_paths"):
        app.env.repository_paths = set()  # type: ignore[attr-defined]


def setup(app: Sphinx) -> ExtensionMetadata:
    app.connect("builder-inited", _begin)
    app.connect("doctree-read", _link)
    app.connect("html-collect-pages", _pages)
    return {"parallel_read_safe": False}
