"""What main and workers exchange: messages, payloads, and the queues and the bucket that carry them."""
