"""What makes a running turn stop where it is: signals of the store, never told to a caller."""

from __future__ import annotations


class Interruption(Exception):
    """The turn goes no further in this attempt; nothing of the write that raised it was kept."""


class Newcomers(Interruption):
    """Messages wait that still belong to this turn: it is asked for again, and then has them."""


class Stopped(Interruption):
    """The person has taken back what the turn answers."""


class HandedBack(Interruption):
    """This process ends, or its kernel is outdated: another kernel goes on from the journal."""
