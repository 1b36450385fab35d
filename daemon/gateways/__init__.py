"""WhatsApp gateways: what they post to Majlis, and what Majlis asks of them."""
