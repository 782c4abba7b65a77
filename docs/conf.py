"""How Sphinx builds the documents: `make docs`. A missing page, link or heading is an error."""

project = "One kernel per person"
html_title = project
extensions = ["myst_parser", "sphinx_copybutton", "sphinxcontrib.mermaid"]
exclude_patterns = ["examples"]
html_theme = "furo"
myst_heading_anchors = 4
myst_enable_extensions = ["attrs_inline", "colon_fence"]
myst_fence_as_directive = ["mermaid"]
