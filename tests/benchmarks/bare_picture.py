"""The activation page's slider and its picture, made beforehand, on an otherwise empty page.

What Streamlit, the charts and the browser take by themselves: `tests.benchmarks.latency` serves it
beside the lab.
"""

import streamlit as st

from pages.components import activations, server, theme
from pages.components.charts import Chart
from pages.components.control_table import BATCH_SIZES, CONTROLS, FOUR_METHODS
from pages.lessons.activation_statistics import histograms


@st.cache_resource
def charts() -> dict[int, Chart]:
    """The histograms at every mark of the slider."""
    server.wait_for_tensorflow()
    origin = activations.Origin(server.data().checksum, 0, 64, "conv", "fresh")
    epsilon = CONTROLS["eps"].default
    return {
        batch: histograms.look(origin._replace(batch=batch), FOUR_METHODS, epsilon)[0]
        for batch in BATCH_SIZES
        if batch <= activations.MOST_IMAGES
    }


st.set_page_config(layout="wide")
made = charts()
chart = made[st.select_slider("Batch size", tuple(made), CONTROLS["batch"].default, key="batch")]
with st.container(key="histograms"):
    for place, column in enumerate(st.columns(len(chart.panels))):
        spec, _ = chart.panels[place]
        column.vega_lite_chart(
            chart.sent[place], spec | {"config": theme.config()}, key=f"panel{place}"
        )
