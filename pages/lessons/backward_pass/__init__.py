"""Backward pass: the gradient in three terms."""
