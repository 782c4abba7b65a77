"""Pages of the site that stand outside docs/, as ARCHITECTURE.md. Their links to each other work on a code host, too.

The setting `outer_pages` in conf.py lists them as paths from the root of the repository. The name of a page is its path
without the suffix.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sphinx.project import Project

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from sphinx.application import Sphinx
    from sphinx.util._pathlib import _StrPath
    from sphinx.util.typing import ExtensionMetadata


class _Repository(Project):
    def __init__(self, source: Path, suffixes: Iterable[str], pages: Iterable[str]) -> None:
        super().__init__(source, suffixes)
        self._outer = {source.parent / page: page.removesuffix(".md") for page in pages}

    def discover(self, *args: Iterable[str], **options: Iterable[str]) -> set[str]:
        super().discover(*args, **options)
        self.docnames.update(self._outer.values())
        return self.docnames

    def path2doc(self, filename: str | os.PathLike[str]) -> str | None:
        return self._outer.get(Path(self.srcdir, filename).resolve()) or super().path2doc(filename)

    def doc2path(self, docname: str, absolute: bool) -> _StrPath:
        return super().doc2path(f"../{docname}" if docname in self._outer.values() else docname, absolute)


def _take_over(app: Sphinx) -> None:
    app.project = app.env.project = _Repository(Path(app.srcdir), app.config.source_suffix, app.config.outer_pages)


def setup(app: Sphinx) -> ExtensionMetadata:
    app.add_config_value("outer_pages", [], "env")
    app.connect("builder-inited", _take_over)
    return {"parallel_read_safe": True}
