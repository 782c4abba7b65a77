"""Write all generated pages of the reference: `python -m checks.reference`."""

from checks.reference.pages import PAGES, ROOT

for path, page in PAGES.items():
    (ROOT / path).write_text(page())
