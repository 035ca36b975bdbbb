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

_NAMES = {
    "normalize": "standardize scale_shift batch_norm layer_norm group_norm instance_norm rms_norm "
    "weight_norm",
    "cnn": "SmallCNN",
    "config": "METHODS TrainConfig",
    "training": "train",
    "run": "Run",
    "mnist": "Dataset load_mnist",
}
_HOME = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module 'normlib' has no attribute {name!r}")
    return getattr(import_module(f"normlib.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
