"""Emulator of WhatsApp: the Graph API that a gateway sends to, and phones that write to the gateway by webhook."""
