"""What batch norm does where a batch is a single image, which surprises most."""

from __future__ import annotations

import streamlit as st

from normlib.config import TrainConfig


def warn(config: TrainConfig) -> None:
    """Say what these settings will do to the training."""
    if config.batch_size > 1 or config.normalization not in ("batch", "tf_batch"):
        return
    if config.placement == "conv and dense":
        st.warning(
            "One image per batch: each unit of the dense layer has a single value, and that is "
            "its own mean. Its variance is 0, it always puts out beta, and no gradient passes. "
            "The network cannot learn from its images.",
            icon=":material/counter_1:",
        )
    else:
        st.info(
            "One image per batch: the mean is taken over the 784 positions of that image alone, "
            "which is instance norm while it trains.",
            icon=":material/counter_1:",
        )
