"""Fair queueing of what all people share: the vendors' rate limits."""
