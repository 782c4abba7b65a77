"""Connecting an account: a link that only its person can make use of, and the proof that it was them."""
