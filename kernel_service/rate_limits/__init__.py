"""Fair queueing of a shared resource: the vendors' rate limits."""
