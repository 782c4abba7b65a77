"""Refusals of a template that concern more than one person. Codes: see graph/errors.py."""

from typing import Final

OF_THE_TEXT: Final = frozenset({"100", "131008", "131009", "132005", "132012", "132018"})
"""The reminder's text may be at fault, or the template that is to take it."""
OF_THE_TEMPLATE: Final = frozenset({"132000", "132001", "132007", "132015", "132016", "132068", "132069"}) | OF_THE_TEXT
"""WhatsApp refuses the template for each person."""
HELD: Final = frozenset({"held_for_quality_assessment", "paused"})
"""The states of an accepted template that is not sent yet."""
