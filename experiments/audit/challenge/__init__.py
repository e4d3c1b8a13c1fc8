"""`goalmaze audit challenge` and `goalmaze audit score`: one laboratory challenges another."""
