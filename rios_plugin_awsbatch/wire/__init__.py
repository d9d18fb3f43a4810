"""What main and workers exchange: messages, payloads, and the queues and bucket for them."""
