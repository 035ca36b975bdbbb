"""TensorFlow set up as the lab needs it; imported before the first op.

Each op runs on one thread, because how an op splits its sums over threads decides their last
bits: so a run gives the same numbers on two cores and on sixty-four. The cores are used by
running experiments side by side.
"""

import logging
import platform

import tensorflow as tf

import normlib

# Every run takes place here, with or without an accelerator in the machine.
DEVICE = "/CPU:0"

try:
    tf.config.threading.set_intra_op_parallelism_threads(1)
except RuntimeError:
    logging.getLogger(__name__).warning(
        "TensorFlow was in use before normlib was imported, with more than one thread per op: "
        "runs repeat on this machine, but may differ in their last bits on another."
    )


def versions() -> dict[str, str]:
    """What decides the bits of a run besides its config and data, by name."""
    return {
        "normlib": normlib.__version__,
        "tensorflow": tf.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "threads per op": str(tf.config.threading.get_intra_op_parallelism_threads() or "all"),
    }
