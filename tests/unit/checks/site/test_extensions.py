"""The site has a page for each file, folder and outer page that the documents link to, and loads nothing from afar."""

import io
import re
from pathlib import Path

import pytest
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

from checks.site.offline import loaded

pytestmark = pytest.mark.filterwarnings("ignore::sphinx.deprecation.RemovedInSphinx11Warning")  # of MyST

CONF = """
extensions = ["myst_parser", "checks.site.outer_pages", "checks.site.repository_files", "checks.site.offline",
    "checks.site.accessible", "checks.site.pictures"]
source_suffix = {".md": "markdown"}
outer_pages = ["OUTER.md"]
myst_heading_anchors = 3
html_theme = "furo"
html_show_sphinx = False
"""
INDEX = """# Home

```{toctree}
:caption: Pages

OUTER
deep/page
```

[a file](../code/run.py), [any file](../code/notes), [a folder](../code), [a raw page](../README.md),
[the outer page](../OUTER.md#its-part), `<https://example.com>`, [the web](https://example.com)

| table |
|---|
| cell |
"""
OUTER = """# Outer

<picture>
  <source media="(prefers-color-scheme: dark)" srcset="docs/night.png">
  <img src="docs/day.png" alt="What it
  shows">
</picture>

## Its part

[a page](docs/deep/page.md), [code](code/run.py)
"""


def built(root: Path) -> tuple[Path, str]:
    """The folder of the site, and the warnings."""
    warnings = io.StringIO()
    with docutils_namespace():
        docs, site = root / "docs", root / "site"
        Sphinx(docs, docs, site, root / "doctrees", "html", status=None, warning=warnings).build()
    return site, re.sub(r"\x1b\[[\d;]*m", "", warnings.getvalue())


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    for path, text in {
        "docs/conf.py": CONF,
        "docs/index.md": INDEX,
        "docs/deep/page.md": "# Page\n\n[code](../../code/run.py)\n",
        "README.md": "# Read me\n",
        "OUTER.md": OUTER,
        "code/run.py": "print('<&>')\n",
        "code/notes": "notes\n",
        "code/deep/more.yaml": "a: {{ b }}\n",
        "code/node_modules/package/index.js": "installed\n",
        "code/.hidden": "secret\n",
        "code/__pycache__/run.pyc": "compiled\n",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    for name in ("docs/day.png", "docs/night.png"):
        (root / name).write_bytes(b"")
    (root / "code/picture.png").write_bytes(b"\x89PNG\xff")
    return root


@pytest.mark.slow
def test_links_lead_to_pages_that_show_what_is_linked(repository: Path) -> None:
    site, warnings = built(repository)
    assert warnings == ""
    home = (site / "index.html").read_text()
    for address in re.findall(r'href="([^"#?]+)[^"]*"', home):
        assert address.startswith("https://") or (site / address).exists(), address
    assert 'href="repository/code/run.py.html"' in home
    assert 'href="OUTER.html#its-part"' in home
    assert 'href="../repository/code/run.py.html"' in (site / "deep/page.html").read_text()
    assert 'href="deep/page.html"' in (site / "OUTER.html").read_text()
    assert "&lt;&amp;&gt;" in (site / "repository/code/run.py.html").read_text()
    folder = (site / "repository/code.html").read_text()
    assert re.findall(r"<h2><code>(.*?)</code></h2>", folder) == [
        "code/deep/more.yaml",
        "code/notes",
        "code/picture.png",
        "code/run.py",
    ]
    assert "A binary file." in folder


@pytest.mark.slow
def test_a_screen_reader_and_a_keyboard_find_their_way(repository: Path) -> None:
    site, _ = built(repository)
    home = (site / "index.html").read_text()
    headings = re.findall(r'<p [^>]*role="heading"[^>]*>', home)
    assert headings == ['<p class="caption" role="heading" aria-level="2">'] * 2  # in the sidebar and on the page
    assert '<div tabindex="0" class="table-wrapper' in home
    assert '<pre tabindex="0">' in (site / "repository/code/run.py.html").read_text()


@pytest.mark.slow
def test_a_picture_follows_the_look_of_the_site(repository: Path) -> None:
    site, _ = built(repository)
    shown = re.findall(r'<img alt="(.*?)" class="(.*?)" src="(.*?)"', (site / "OUTER.html").read_text())
    assert [(alt, look) for alt, look, _ in shown] == [("What it shows", "only-light"), ("What it shows", "only-dark")]
    assert all((site / src).exists() for *_, src in shown)


@pytest.mark.slow
def test_a_link_to_what_is_not_there_is_reported(repository: Path) -> None:
    page = repository / "docs/deep/page.md"
    page.write_text(
        "# Page\n\n[a](../../code/gone.py)\n\n[b](../../OUTER.md#gone)\n\n[c](../../../)\n\n[d](gone.md)\n"
        '\n<img src="https://example.com/pixel.png" alt="far">\n\n<p><img src="../day.png" alt="near"></p>\n'
    )
    _, warnings = built(repository)
    assert [re.sub(r".*WARNING: ", "", line) for line in warnings.splitlines()] == [
        "HTML loads ../day.png: use Markdown",
        "'myst' cross-reference target not found: '../../code/gone.py' [myst.xref_missing]",
        "local id not found in doc 'OUTER': 'gone' [myst.xref_missing]",
        "'myst' cross-reference target not found: '../../../' [myst.xref_missing]",
        "'myst' cross-reference target not found: 'gone.md' [myst.xref_missing]",
        "deep/page.html loads https://example.com/pixel.png",
    ]


def test_parts_that_a_browser_loads_from_another_host_are_found() -> None:
    page = """<script src="https://cdn.example/a.js"></script> <link rel="stylesheet" href="//cdn.example/b.css">
    <script>import c from "https://cdn.example/c.mjs"; import("https://cdn.example/d.mjs")</script>
    <style>@font-face { src: url(https://cdn.example/e.woff2) }</style> <img src='https://cdn.example/f.png'>
    <a href="https://example.com">followed</a> <script src="_static/here.js"></script>"""
    assert [address[-1] for address in (each.rpartition(".")[0] for each in loaded(page))] == list("abcdef")
