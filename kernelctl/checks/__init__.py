"""Checks of a set-up: its settings, the vendors, the public address, the services and the database.

They change nothing and message no person. `model.answer` alone costs something: one answer of at most 16 tokens.
"""
