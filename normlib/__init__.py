"""Batch, layer, group, instance, RMS and weight normalization from basic TensorFlow ops.

The names below are imported on first use, so that `import normlib` costs nothing and a web page
can be on screen before TensorFlow, which takes seconds to load, is needed.
"""

import os
from importlib import import_module

# TensorFlow's start-up notes would bury the one sentence that a student should read; it looks at
# this the moment it loads, so it is said here, before any module can load it.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

__version__ = "1.2.0"

_HOME = {
    "standardize": "normalize",
    "scale_shift": "normalize",
    "batch_norm": "normalize",
    "layer_norm": "normalize",
    "group_norm": "normalize",
    "instance_norm": "normalize",
    "rms_norm": "normalize",
    "weight_norm": "normalize",
    "SmallCNN": "cnn",
    "TrainConfig": "config",
    "METHODS": "config",
    "train": "training",
    "Run": "run",
    "load_mnist": "mnist",
    "Dataset": "mnist",
}

__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module 'normlib' has no attribute {name!r}")
    return getattr(import_module(f"normlib.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
