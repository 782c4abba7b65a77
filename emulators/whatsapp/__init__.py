"""WhatsApp's stand-in: the Graph API that a gateway sends to, and phones that write to it by webhook."""
