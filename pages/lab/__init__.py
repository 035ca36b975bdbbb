"""The engine of the app: queue, store, studies, export. It knows normlib, and no Streamlit."""
