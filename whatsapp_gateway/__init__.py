"""The WhatsApp channel: webhooks in, Graph calls out, and nothing kept in between."""
