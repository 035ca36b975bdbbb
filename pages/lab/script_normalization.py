"""The normalization of an exported script: the functions a config needs, and nothing else.

Each part is text, written for one `TrainConfig` without a trace of the options that are off. What
it computes is `normlib.fast`, line by line, so that the script's losses are the lab's to the last
bit.
"""

from __future__ import annotations

from normlib.config import METHODS, TrainConfig


def parts(config: TrainConfig) -> list[str]:
    """Definitions in the order of the script: sums, the operation and its gradient, the layer."""
    return [
        *_sums(config),
        *(_compiled(config) if _by_hand(config) else ()),
        _normalize(config),
        _move(config),
        _normalization(config),
    ]


def on_activations(config: TrainConfig) -> bool:
    return config.normalization not in ("none", "weight")


def is_normalized(config: TrainConfig, layer: str) -> bool:
    """Whether this layer's activations are normalized."""
    return on_activations(config) and (layer == "conv" or config.placement == "conv and dense")


def has_moving(config: TrainConfig) -> bool:
    """Whether moving statistics are kept: only where something reads them."""
    return (
        config.normalization in ("batch", "tf_batch")
        and config.inference_statistics == "moving"
        and (config.center or config.scale)
    )


def variables_of(config: TrainConfig) -> list[str]:
    """The variables of one normalized layer, as the script names them."""
    owned = []
    if config.learn_scale_shift:
        owned += ["gamma"] if config.normalization == "rms" else ["gamma", "beta"]
    if has_moving(config):
        owned += ["moving_mean"] * config.center + ["moving_variance"] * config.scale
    return owned


def counts(config: TrainConfig) -> bool:
    """Whether the script divides by how many numbers it added up."""
    standardized = _by_hand(config) and (config.scale or _centers(config))
    return standardized or config.weight_norm_start == "data"


def function_name(config: TrainConfig) -> str:
    return {"tf_batch": "batch_norm"}.get(config.normalization, f"{config.normalization}_norm")


def _learned(config: TrainConfig) -> list[str]:
    """Those of a layer's variables that are trained."""
    return [name for name in variables_of(config) if not name.startswith("moving")]


def _by_hand(config: TrainConfig) -> bool:
    """Whether the script has its own standardizing, with a gradient by hand."""
    own = on_activations(config) and config.normalization != "tf_batch"
    return own and (config.scale or _centers(config) or config.learn_scale_shift)


def _centers(config: TrainConfig) -> bool:
    return config.center and config.normalization != "rms"


def _one_mean_per_gamma(config: TrainConfig) -> bool:
    """Whether each mean belongs to one gamma, as in batch norm."""
    return config.normalization == "batch" and config.ghost_batches == 1


def _weighs(config: TrainConfig) -> bool:
    """Whether a gamma for every number of an example weighs them where they are averaged."""
    return _one_root(config) and (config.scale or _centers(config))


def _one_root(config: TrainConfig) -> bool:
    """Whether each example has one root, which then weighs it in a sum over examples."""
    return config.normalization in ("layer", "rms")


def _averages(config: TrainConfig) -> bool:
    """Whether the script averages: at the start, from the data."""
    return config.weight_norm_start == "data"


# The parts, in their order.


def _sums(config: TrainConfig) -> list[str]:
    """The sums and averages that the script takes."""
    parts = []
    if _by_hand(config):
        weighted = config.scale and config.learn_scale_shift and _one_root(config)
        parts = [_LENGTHS, _total(weighted)]
    elif counts(config):  # at the start, where the lab has no hurry
        parts = [_LENGTHS, _PLAIN_TOTAL]
    return parts + [_COUNT] * counts(config) + [_AVERAGE] * _averages(config)


_LENGTHS = """
def lengths(x):
    \"\"\"The shape of x: numbers where they are known, tensors where only the run will tell.\"\"\"
    return [tf.shape(x)[i] if n is None else n for i, n in enumerate(x.shape)]
"""


_PLAIN_TOTAL = """
def total(x, axes):
    \"\"\"The sum over `axes`, one axis at a time: short sums lose fewer digits.\"\"\"
    for axis in axes:
        x = tf.reduce_sum(x, axis, keepdims=True)
    return x
"""


def _total(weighted: bool) -> str:
    ones, note = "tf.ones([1, n])", "ones"
    if weighted:
        ones += " if weights is None else tf.reshape(weights, [1, n])"
        note = "ones (or weights, one for each example)"
    return f"""
def total(x, axes{", weights=None" * weighted}):
    \"\"\"The sum over `axes`, one at a time: short sums lose fewer digits.\"\"\"
    for axis in axes:
        if axis == 0:  # by {note} @ x, which is faster
            n, *others = lengths(x)
            ones = {ones}
            x = tf.reshape(ones @ tf.reshape(x, [n, -1]), [1, *others])
        else:
            x = tf.reduce_sum(x, axis, keepdims=True)
    return x
"""


_COUNT = """
def count(x, axes):
    return tf.cast(math.prod(lengths(x)[axis] for axis in axes), x.dtype)
"""


_AVERAGE = """
def average(x, axes):
    return total(x, axes) / count(x, axes)
"""


_ROW = """
def row(a, x):
    \"\"\"`a` repeated along all axes of x but the first, which a CPU multiplies fastest.\"\"\"
    if a.shape.rank < x.shape.rank:
        a = tf.reshape(a, [1] * (x.shape.rank - a.shape.rank) + a.shape)
    if a.shape[0] != 1:
        return a
    shape = list(a.shape)
    for axis in range(x.shape.rank - 1, 0, -1):
        if shape[axis] == 1 != x.shape[axis]:
            shape[axis] = lengths(x)[axis]
            a = tf.broadcast_to(a, shape)
    return a
"""


def _compiled(config: TrainConfig) -> list[str]:
    """What `normalize` and its gradient are put together from."""
    learned = _learned(config)
    z = "centered" + " * inverse" * config.scale
    z += "".join({"gamma": " * gamma", "beta": " + beta"}[name] for name in learned)
    whole = _one_mean_per_gamma(config) and (config.scale or config.center)
    repeats = learned and not whole and not (_weighs(config) and config.scale)
    parts = [_ROW] if _centers(config) or repeats else []
    if z != "centered":
        arguments = ", ".join(["centered", *["inverse"] * config.scale, *learned])
        parts.append(f"""
@tf.function(jit_compile=True)
def z_of({arguments}):
    \"\"\"The end of normalizing, compiled into one loop over its numbers.\"\"\"
    return {z}
""")
    if config.scale or _centers(config):
        gamma = "gamma * " * config.learn_scale_shift
        arguments = ["dz", "centered", *["gamma"] * bool(gamma), "inverse", "stretch", "shift"]
        parts.append(f"""
@tf.function(jit_compile=True)
def dx_of({", ".join(arguments)}):
    return ({gamma}dz - shift - centered * inverse * (inverse * stretch)) * inverse
""")
    if _one_mean_per_gamma(config) and (config.scale or config.learn_scale_shift):
        parts.append(_DOT)
    if _weighs(config):
        parts.append(_WEIGHTED_TOTAL)
    return parts


_DOT = """
def dot(a, b):
    \"\"\"sum(a * b) per channel, by the gradient of a convolution with one weight for each.\"\"\"
    shape = [tf.shape(a)[0], -1, 1, a.shape[-1]]
    a, b = tf.reshape(a, shape), tf.reshape(b, shape)
    size = [1, 1, a.shape[-1], 1]
    return tf.reshape(tf.nn.depthwise_conv2d_backprop_filter(a, size, b, [1] * 4, "VALID"), [-1])
"""


_WEIGHTED_TOTAL = """
def weighted_total(x, gamma):
    \"\"\"The sum of gamma * x for each example, as x @ gamma.\"\"\"
    products = tf.reshape(x, [-1, gamma.shape.num_elements()]) @ tf.reshape(gamma, [-1, 1])
    return tf.reshape(products, [-1] + [1] * gamma.shape.rank)
"""


def _move(config: TrainConfig) -> str:
    if not has_moving(config):
        return ""
    batch, note = "tf.reshape(batch, [-1])", ""
    if config.ghost_batches > 1:
        batch = "tf.reduce_mean(tf.reshape(batch, [-1, batch.shape[-1]]), 0)"
        note = ", averaged over its ghost batches"
    return f"""
def move(moving, batch):
    \"\"\"Bring a moving statistic nearer to the batch's{note}.\"\"\"
    batch = {batch}
    moving.assign(MOMENTUM * moving + (1 - MOMENTUM) * batch)
"""


def _normalize(config: TrainConfig) -> str:
    """The one operation of every method, and its gradient by hand, as the lab trains with them."""
    if not _by_hand(config):
        return ""
    learned = _learned(config)
    center, scale = _centers(config), config.scale
    arguments = ", ".join(["x", *learned])
    formula = {
        (True, True): "x_hat = (x - mean) / sqrt(variance + epsilon)",
        (False, True): "x_hat = x / sqrt(average(x²) + epsilon)",
        (True, False): "x_hat = x - mean",
        (False, False): "x_hat = x",
    }[center, scale]
    z = {0: "x_hat", 1: "gamma * x_hat", 2: "gamma * x_hat + beta"}[len(learned)]
    lines = [
        f"def normalize({arguments}, axes):",
        f'    """z = {z}, where {formula}.',
        "",
        "    The gradient is by hand, as in the lab. Returns z, mean and variance.",
        '    """',
        "",
        "    @tf.custom_gradient",
        f"    def apply({arguments}):",
        f"        mean = {'total(x, axes) / count(x, axes)' if center else 'tf.zeros([])'}",
        f"        centered = {'x - row(mean, x)' if center else 'x'}",
    ]
    if center or scale:
        lines += [
            "        # average(centered²), by an op that does not write the squares down",
            "        norms = tf.math.reduce_euclidean_norm(centered, axes[0], keepdims=True)",
            "        variance = total(tf.square(norms), axes[1:]) / count(x, axes)",
        ]
    else:
        lines += ["        variance = tf.ones([])"]
    if scale:
        lines += ["        inverse = tf.math.rsqrt(variance + EPSILON)"]
    given = ", ".join(["centered", *["inverse"] * scale, *learned])
    lines += [f"        z = {f'z_of({given})' if scale or learned else 'centered'}"]
    lines += ["", "        def backward(dz, *_):"]
    lines += _by_channel(config) if _one_mean_per_gamma(config) else _in_general(config)
    result = ", ".join(["dx", *(f"d{name}" for name in learned)])
    lines += [f"            return {result}", "", "        return (z, mean, variance), backward"]
    lines += ["", f"    return apply({arguments})"]
    return "\n".join(lines)


def _by_channel(config: TrainConfig) -> list[str]:
    """The sums of `backward` where each mean belongs to one gamma: those that dx needs."""
    learned, scale = config.learn_scale_shift, config.scale
    lines, gamma = [], "gamma * " * learned
    root = " * tf.reshape(inverse, [-1])" * scale
    if scale or learned:
        lines += ["            along = dot(dz, centered)"]
    if learned:
        lines += [f"            dgamma = along{root}"]
    if config.center or learned:
        lines += ["            dbeta = tf.reshape(total(dz, axes), [-1])"]
    return lines + _dx(config, f"{gamma}along", f"{gamma}dbeta")


def _in_general(config: TrainConfig) -> list[str]:
    """The sums of `backward` where a gamma belongs to several means or a mean to several."""
    learned = _learned(config)
    lines = ["            along = dz * centered"] * bool(config.scale or learned)
    sums = _SUMS[config.normalization]
    if learned:
        values, weights = "along", ""
        if config.scale and _one_root(config):
            weights = ", inverse"
        elif config.scale:
            values = "along * row(inverse, x)"
        lines += [
            f"            dgamma = total({values}, {sums}{weights})",
            "            dgamma = tf.reshape(dgamma, gamma.shape)",
        ]
    if learned[1:]:
        lines.append(f"            dbeta = tf.reshape(total(dz, {sums}), beta.shape)")
    if _weighs(config):
        added = (
            "weighted_total({}, gamma)" if learned else "weighted_total({}, tf.ones(x.shape[1:]))"
        )
    else:
        added = "total({} * row(gamma, x), axes)" if learned else "total({}, axes)"
    return lines + _dx(config, added.format("along"), added.format("dz"))


def _dx(config: TrainConfig, stretch: str, shift: str) -> list[str]:
    """The lines of `backward` that find dx; what is switched off is 0, or 1."""
    learned, scale, center = config.learn_scale_shift, config.scale, _centers(config)
    if not (scale or center):
        return [f"            dx = dz{' * row(gamma, x)' * learned}"]
    given = [
        *("dz", "centered", *["gamma"] * learned),
        "inverse" if scale else "tf.ones([])",
        "stretch" if scale else "tf.zeros([])",
        "shift" if center else "tf.zeros([])",
    ]
    return [
        *[f"            stretch = {stretch} / count(x, axes)"] * scale,
        *[f"            shift = {shift} / count(x, axes)"] * center,
        f"            dx = dx_of({', '.join(given)})",
    ]


# The axes over which a gamma or beta was repeated.
_SUMS = {
    "batch": "range(x.shape.rank - 1)",
    "layer": "[0]",
    "rms": "[0]",
    "instance": "range(x.shape.rank - 1)",
    "group": "range(x.shape.rank - 2)",
}


def _normalization(config: TrainConfig) -> str:
    """The function that the network calls, with no trace of the options that are off."""
    if config.normalization == "weight" and config.weight_norm_start != "constant":
        return """
def weight_norm(v, g):
    \"\"\"w = g * v / ||v||, one length g per output channel.\"\"\"
    return g * (v * inverse_norm(v))
"""
    if not on_activations(config):
        return ""
    owned, moving = variables_of(config), has_moving(config)
    learned = _learned(config)
    arguments = ["x", *owned, *(["training"] if moving else [])]
    doc = METHODS[config.normalization].averages
    lines = [
        f"def {function_name(config)}({', '.join(arguments)}):",
        f'    """One mean and variance for {doc}."""',
    ]
    if not _by_hand(config) and config.normalization != "tf_batch":
        lines[1] = '    """Neither centered nor scaled, and nothing learned: nothing is left."""'
        return "\n".join([*lines, "    return x"])
    update = [
        f"    move({name}, {name.removeprefix('moving_')})"
        for name in owned
        if name.startswith("moving")
    ]
    if config.normalization == "tf_batch":
        gamma, beta = ("gamma", "beta") if learned else ("None", "None")
        lines.append("    axes = list(range(x.shape.rank - 1))")
        if moving:
            lines += [
                "    if training:",
                "        mean, variance = tf.nn.moments(x, axes)",
                *(f"    {line}" for line in update),
                "    else:",
                "        mean, variance = moving_mean, moving_variance",
            ]
        else:
            lines.append("    mean, variance = tf.nn.moments(x, axes)")
        lines.append(
            f"    return tf.nn.batch_normalization(x, mean, variance, {beta}, {gamma}, EPSILON)"
        )
        return "\n".join(lines)
    if moving:
        x_hat = "(x - moving_mean)" if config.center else "x"
        x_hat += " * tf.math.rsqrt(moving_variance + EPSILON)" if config.scale else ""
        if learned:
            x_hat = f"{x_hat} * gamma + beta"
        lines += ["    if not training:", f"        return {x_hat}"]
    x, axes = "x", _AXES[config.normalization]
    if config.ghost_batches > 1:
        x, axes = "parts", "range(1, x.shape.rank)"
        lines += [
            "    even = tf.shape(x)[0] % GHOST_BATCHES == 0  # a short last batch stays whole",
            "    count = tf.where(even, GHOST_BATCHES, 1)",
            "    parts = tf.reshape(x, [count, -1, *x.shape[1:]])",
        ]
    if config.normalization == "group":
        x = "parts"
        lines += [
            "    size = x.shape[-1] // GROUPS",
            "    parts = tf.reshape(x, [*lengths(x)[:-1], GROUPS, size])",
        ]
        lines += [f"    {name} = tf.reshape({name}, [GROUPS, size])" for name in learned]
    lines.append(f"    axes = list({axes})" if axes[0] == "r" else f"    axes = {axes}")
    got = (
        "z, mean, variance"
        if len(update) == 2
        else "z, mean, _"
        if config.center
        else "z, _, variance"
    )
    got = got if moving else "z, _, _"
    lines.append(f"    {got} = normalize({', '.join([x, *learned])}, axes)")
    lines += update
    lines.append("    return z" if x == "x" else "    return tf.reshape(z, tf.shape(x))")
    return "\n".join(lines)


_AXES = {
    "batch": "range(x.shape.rank - 1)",
    "layer": "range(1, x.shape.rank)",
    "rms": "range(1, x.shape.rank)",
    "instance": "range(1, x.shape.rank - 1)",
    "group": "[*range(1, x.shape.rank - 1), x.shape.rank]",
}
