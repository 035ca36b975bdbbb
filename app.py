"""The home page: the idea in one screen."""

import streamlit as st

from pages.components import page

page.set_up("home")
st.markdown("Every activation normalization is one operation. Only the averaged axes differ.")
for name in page.PAGES:
    if name != "home":
        page.link(name)
