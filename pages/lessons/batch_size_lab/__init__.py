"""Batch size lab: small batches, batch-mates, training against inference."""
