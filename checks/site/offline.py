"""The pages load nothing from another host: no script, style, font or picture. A link that a reader follows may."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from sphinx.util import logging

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.util.typing import ExtensionMetadata

_LOADED = re.compile(
    r"""(?:\bsrc=["']|<link\b[^>]*\bhref=["']|\bfrom\s+["']|\bimport\s*\(?["']|\burl\(["']?)((?:https?:)?//[^"')>\s]+)"""
)


def loaded(page: str) -> list[str]:
    """The addresses on other hosts from which a browser loads a part of the page or of the style sheet."""
    return _LOADED.findall(page)


def _check(app: Sphinx, error: Exception | None) -> None:
    if error is not None or app.builder.format != "html":
        return
    site = Path(app.outdir)
    for path in sorted([*site.rglob("*.html"), *site.rglob("*.css")]):
        for address in loaded(path.read_text()):
            logging.getLogger(__name__).warning("%s loads %s", path.relative_to(site), address)


def setup(app: Sphinx) -> ExtensionMetadata:
    app.connect("build-finished", _check)
    return {"parallel_read_safe": True}
