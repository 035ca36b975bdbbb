"""The assignment: write the normalizations from basic ops, and have them checked."""

from importlib import import_module
from typing import Any

# Function -> what it is; known without TensorFlow.
TITLES = {
    "mean_and_variance": "Mean and variance of a batch",
    "x_hat": "Normalize a batch",
    "batch_norm": "Gamma and beta",
    "batch_norm_conv": "Batch norm of a convolution",
    "batch_norm_inference": "Batch norm at inference",
    "moving_statistics": "One step of the moving statistics",
    "layer_norm": "Layer norm of a convolution",
    "layer_norm_last": "Layer norm over the last axis",
    "weight_norm": "Weight norm",
    "weight_norm_zero": "Weight norm where v = 0",
    "batch_norm_backward": "Batch norm's backward pass",
    "stable_variance": "A variance that survives mean 1,000",
}
_HOME = {
    "EXERCISES": "catalog",
    "Exercise": "catalog",
    "MISTAKES": "mistakes",
    "Mistake": "mistakes",
    "Result": "checks",
    "Stopped": "checks",
    "Tick": "checks",
    "check": "checks",
}

__all__ = sorted([*_HOME, "TITLES"])


def __getattr__(name: str) -> Any:  # TensorFlow is loaded by the first use, as in normlib
    if name not in _HOME:
        raise AttributeError(f"module 'normlib.exercises' has no attribute {name!r}")
    return getattr(import_module(f"normlib.exercises.{_HOME[name]}"), name)
