"""Completes the pages of the theme: levels for headings of lists of pages, and what scrolls does so without a mouse."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.util.typing import ExtensionMetadata

_AFTER_THE_THEME = 900
_SCROLLED = re.compile(r'<pre(?=>)|<(?:pre|div)(?= +class="(?:table-wrapper|mermaid)[ "])')
"""Code, tables and diagrams, which may be wider than the screen."""


def _complete(_app: Sphinx, _page: str, _template: str, context: dict[str, Any], _doctree: object) -> None:
    for part in {"furo_navigation_tree", "body"} & context.keys():
        context[part] = context[part].replace('role="heading"', 'role="heading" aria-level="2"')
    if "body" in context:
        context["body"] = _SCROLLED.sub(r'\g<0> tabindex="0"', context["body"])


def setup(app: Sphinx) -> ExtensionMetadata:
    app.connect("html-page-context", _complete, priority=_AFTER_THE_THEME)
    return {"parallel_read_safe": True}
