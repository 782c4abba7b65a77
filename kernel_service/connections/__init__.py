"""Connecting an account: a link that only its person can use, and the code that proves it was them."""
