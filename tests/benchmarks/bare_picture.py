"""The activation page's slider and its picture, made beforehand, on an otherwise empty page.

What Streamlit, the charts and the browser take by themselves: `tests.benchmarks.latency` serves it
beside the lab.
"""

import streamlit as st

from pages.components import activation_charts, activation_words, activations, server, theme
from pages.components.charts import Chart
from pages.components.control_table import FOUR_METHODS, SETTINGS


@st.cache_resource
def charts() -> dict[int, Chart]:
    """The histograms at every mark of the slider."""
    server.wait_for_tensorflow()
    made = {}
    for batch in activations.BATCH_MARKS:
        asked = activations.Asked(server.data().checksum, 0, batch, "conv", "fresh")
        configs, _ = activations.configs_of(FOUR_METHODS, SETTINGS["eps"].default, asked)
        seen = activations.see(configs, asked)
        made[batch] = activation_charts.histograms(seen, activation_words.stage_titles(seen))
    return made


st.set_page_config(layout="wide")
made = charts()
chart = made[st.select_slider("Batch size", tuple(made), SETTINGS["batch"].default, key="batch")]
with st.container(key="histograms"):
    for place, column in enumerate(st.columns(len(chart.panels))):
        spec, _ = chart.panels[place]
        column.vega_lite_chart(
            chart.sent[place], spec | {"config": theme.config(False)}, key=f"panel{place}"
        )
