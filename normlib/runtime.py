"""TensorFlow set up as the lab needs it; imported before the first op.

Each op runs on one thread, because how an op splits its sums over threads decides their last
bits: so a run gives the same numbers on two cores and on sixty-four. The cores are used by
running experiments side by side.
"""

import functools
import logging
import platform
import weakref
from collections.abc import Callable

import tensorflow as tf
from tensorflow.python.framework.ops import gradient_registry

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


def custom_gradient(function: Callable) -> Callable:
    """`tf.custom_gradient`, whose graphs can be freed.

    TensorFlow keeps the gradient of each call that was traced in a registry, for good, and with it
    the whole graph and what that holds: some 15 MB for each training. Here the graph keeps its
    gradients, and the registry lets go of them when the graph goes.
    """
    differentiable = tf.custom_gradient(function)

    @functools.wraps(function)
    def call(*arguments):
        results = differentiable(*arguments)
        first = tf.nest.flatten(results)[0]
        if tf.is_symbolic_tensor(first):
            graph, name = first.graph, first.op.get_attr("_gradient_op_type").decode()
            registered = gradient_registry._registry  # there is no public way to take anything out
            setattr(graph, name, registered[name]["type"])
            weakly = weakref.ref(graph)
            registered[name]["type"] = lambda *gradients: getattr(weakly(), name)(*gradients)
            weakref.finalize(graph, registered.pop, name, None)
        return results

    return call


def fused(function: Callable) -> Callable:
    """A function of tensors, compiled into one loop over their numbers where it is part of a graph.

    For elementwise formulas only: XLA's sums and convolutions are slower than TensorFlow's. What
    is compiled serves every training of these shapes. Eager calls run op by op: they are few, and
    come in many shapes.
    """
    compiled = tf.function(function, jit_compile=True, autograph=False)

    @functools.wraps(function)
    def call(*tensors):
        return (function if tf.executing_eagerly() or not _can_compile() else compiled)(*tensors)

    return call


@functools.cache
def _can_compile() -> bool:
    """Whether this TensorFlow comes with XLA for this processor."""
    try:
        with tf.init_scope(), tf.device(DEVICE):
            tf.function(tf.negative, jit_compile=True)(tf.constant(1.0))
    except (tf.errors.OpError, ValueError) as error:
        logging.getLogger(__name__).warning("Training takes longer without XLA: %s", error)
        return False
    return True


def versions() -> dict[str, str]:
    """What decides the bits of a run besides its config and data, by name."""
    return {
        "normlib": normlib.__version__,
        "tensorflow": tf.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "compiled": "with XLA" if _can_compile() else "no",
        "threads per op": str(tf.config.threading.get_intra_op_parallelism_threads() or "all"),
    }
