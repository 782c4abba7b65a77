"""Signals of the store that stop a running turn. A caller never sees them."""

from __future__ import annotations


class Interruption(Exception):
    """Ends this attempt of the turn. The write that raised it kept nothing."""


class JoiningMessages(Interruption):
    """Waiting messages belong to this turn: the next `next_turn` returns the turn with them."""


class Stopped(Interruption):
    """The person has stopped the turn."""


class Requeued(Interruption):
    """This process ends, or its kernel is outdated: another kernel continues from the journal."""
