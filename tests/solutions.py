"""Right solutions of every exercise, as students write them: twelve bodies in five styles."""

# Style -> the average over some axes, which stay with length 1, and one over a root.
STYLES = {
    "keepdims": """
def average(x, axes):
    return tf.reduce_mean(x, axis=axes, keepdims=True)

def inverse(v):
    return 1 / tf.sqrt(v)
""",
    "sums and rsqrt": """
def average(x, axes):
    total = tf.reduce_sum(x, axes, True)
    n = tf.cast(tf.size(x), x.dtype) / tf.cast(tf.size(total), x.dtype)
    total /= n
    return total

def inverse(v):
    return tf.math.rsqrt(v)
""",
    "no keepdims, pow": """
def average(x, axes):
    mean = tf.reduce_mean(x, axis=list(axes))
    if len(axes) == len(x.shape) - 1 and axes[0] == 0:
        return mean
    else:
        return tf.reshape(mean, (-1, 1, 1, 1)) if len(axes) == 3 else mean[..., tf.newaxis]

def inverse(v):
    return v ** -0.5
""",
    "matmul with ones": """
def average(x, axes):
    if axes[0] == 0:
        flat = tf.reshape(x, (-1, x.shape[-1]))
        n = flat.shape[0]
        return tf.ones((1, n), x.dtype) @ flat / n
    kept = x.shape[: axes[0]]
    flat = tf.reshape(x, (x.shape[0], -1) if len(axes) == 3 else (-1, x.shape[-1]))
    mean = tf.matmul(flat, tf.ones((flat.shape[1], 1), dtype=x.dtype)) / flat.shape[1]
    return tf.reshape(mean, kept + (1, 1, 1)[: len(axes)])

def inverse(v):
    return tf.pow(v, tf.constant(-0.5, v.dtype))
""",
    "transposes": """
def average(x, axes):
    last = len(x.shape) - 1
    if last == 1:
        return tf.transpose(tf.reduce_mean(tf.transpose(x), 1, keepdims=True))
    if len(axes) == 1:
        return tf.transpose(
            tf.reduce_mean(tf.transpose(x, (3, 0, 1, 2)), 0, keepdims=True), perm=[1, 2, 3, 0]
        )
    if axes[0] == 0:
        return tf.reduce_mean(tf.reshape(tf.transpose(x, (3, 0, 1, 2)), (x.shape[3], -1)), 1)
    return tf.reshape(tf.reduce_mean(tf.reshape(x, (len(x), -1)), 1), (-1, 1, 1, 1))

def inverse(v):
    return tf.math.reciprocal(tf.sqrt(v))
""",
}

BODIES = {
    "mean_and_variance": """(x):
    mean = average(x, (0,))
    variance = average((x - mean) ** 2, (0,))
    return tf.reshape(mean, (-1,)), tf.reshape(variance, [x.shape[1]])
""",
    "x_hat": """(x, epsilon):
    centered = x - average(x, (0,))
    return centered * inverse(average(centered * centered, (0,)) + epsilon)
""",
    "batch_norm": """(x, gamma, beta, epsilon):
    mean = average(x, (0,))
    variance = average(tf.square(x - mean), (0,))
    return gamma * ((x - mean) * inverse(variance + epsilon)) + beta
""",
    "batch_norm_conv": """(x, gamma, beta, epsilon):
    axes = (0, 1, 2)
    centered = x - average(x, axes)
    scale = gamma * inverse(average(tf.square(centered), axes) + epsilon)
    return centered * scale + beta
""",
    "batch_norm_inference": """(x, gamma, beta, epsilon, mean, variance):
    scale = gamma * inverse(variance + epsilon)
    return x * scale + (beta - mean * scale)
""",
    "moving_statistics": """(moving_mean, moving_variance, x, momentum):
    mean = average(x, (0, 1, 2))
    variance = average((x - mean) * (x - mean), (0, 1, 2))
    mean, variance = tf.reshape(mean, (-1,)), tf.reshape(variance, (-1,))
    moving_mean += (1 - momentum) * (mean - moving_mean)
    return moving_mean, momentum * moving_variance + (1 - momentum) * variance
""",
    "layer_norm": """(x, gamma, beta, epsilon):
    centered = x - average(x, (1, 2, 3))
    return gamma * centered * inverse(average(centered**2, (1, 2, 3)) + epsilon) + beta
""",
    "layer_norm_last": """(x, gamma, beta, epsilon):
    centered = x - average(x, (3,))
    return beta + gamma * (centered * inverse(average(centered**2, (3,)) + epsilon))
""",
    "weight_norm": """(v, g):
    n = v.shape[0] * v.shape[1] * v.shape[2]
    return v * (g * inverse(n * average(tf.square(v), (0, 1, 2))))
""",
    "weight_norm_zero": """(v, g):
    n = v.shape[0] * v.shape[1] * v.shape[2]
    squares = n * average(tf.square(v), (0, 1, 2))
    there = tf.cast(squares > 0, v.dtype)
    return g * v * there * inverse(squares + (1 - there))
""",
    "batch_norm_backward": """(dz, x, gamma, epsilon):
    centered = x - average(x, (0,))
    root = inverse(average(centered**2, (0,)) + epsilon)
    x_hat, d = centered * root, dz * gamma
    dx = root * (d - average(d, (0,)) - x_hat * average(d * x_hat, (0,)))
    return dx, tf.reduce_sum(dz * x_hat, 0), tf.reduce_sum(dz, axis=[0])
""",
    "stable_variance": """(x):
    variance = average(tf.math.squared_difference(x, average(x, (0,))), (0,))
    return tf.reshape(variance, (-1,))
""",
}


def solution(exercise: str, style: str) -> str:
    """A right text."""
    return f"{STYLES[style]}\ndef {exercise}{BODIES[exercise]}"
