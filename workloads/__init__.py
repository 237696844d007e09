"""Networks and published tables."""
