"""Compare: methods side by side, same start, same batches."""
