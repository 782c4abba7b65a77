"""A `<picture>` for the light and the dark look, as a code host shows it, also follows the look of the site.

Sphinx copies pictures of Markdown alone. Other HTML that loads a file of the repository is an error here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from docutils import nodes
from sphinx.transforms import SphinxTransform
from sphinx.util import logging

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.util.typing import ExtensionMetadata

_PICTURE = re.compile(
    r"""<picture>\s*<source\s[^>]*\(prefers-color-scheme:\sdark\)[^>]*\bsrcset="(?P<dark>[^"]+)"[^>]*>\s*
    <img\s[^>]*\bsrc="(?P<light>[^"]+)"\s[^>]*\balt="(?P<alt>[^"]+)"[^>]*>\s*</picture>""",
    re.VERBOSE,
)
_LOADED = re.compile(r'\b(?:src|srcset)="(?!\w+:|//)([^"]+)"')


class _Pictures(SphinxTransform):
    default_priority = 200
    """Before Sphinx collects the pictures."""

    def apply(self, **_: object) -> None:
        for node in list(self.document.findall(nodes.raw)):
            text = node.astext()
            if found := _PICTURE.fullmatch(text.strip()):
                alt = " ".join(found["alt"].split())
                looks = (nodes.image(uri=found[look], alt=alt, classes=[f"only-{look}"]) for look in ("light", "dark"))
                node.replace_self([*looks])
            elif loaded := _LOADED.search(text):
                logging.getLogger(__name__).warning("HTML loads %s: use Markdown", loaded[1], location=node)


def setup(app: Sphinx) -> ExtensionMetadata:
    app.add_transform(_Pictures)
    return {"parallel_read_safe": True}
