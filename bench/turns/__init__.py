"""Whole turns: from the webhook to the reply."""
