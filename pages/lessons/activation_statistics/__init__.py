"""Activation statistics: one batch of digits, and what each method does to it."""
