"""How Sphinx builds the documents: `make docs`. A missing page, link, heading or file is an error."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

project = "One kernel per person"
html_title = project
extensions = [
    "myst_parser",
    "sphinx_copybutton",
    "sphinxcontrib.mermaid",
    "checks.site.outer_pages",
    "checks.site.repository_files",
    "checks.site.offline",
    "checks.site.accessible",
    "checks.site.pictures",
]
source_suffix = {".md": "markdown"}
exclude_patterns = ["examples", "_static"]
outer_pages = [
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CODE_OF_CONDUCT.md",
    "CONTRIBUTING.md",
    "README.md",
    "SECURITY.md",
    "benchmarks/README.md",
    "benchmarks/results/results.md",
    "clients/typescript/README.md",
]
myst_heading_anchors = 4
myst_enable_extensions = ["attrs_inline", "colon_fence"]
myst_fence_as_directive = ["mermaid"]

html_theme = "furo"
html_theme_options = {"top_of_page_buttons": []}
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False
# mermaid.tiny.js is that of npm's @mermaid-js/tiny 11.17.2.
mermaid_use_local = "mermaid/mermaid.mjs"
mermaid_fullscreen = False
mermaid_height = "auto"
