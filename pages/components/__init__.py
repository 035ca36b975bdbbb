"""What the lessons share; beside lessons and pages the only code that knows Streamlit.

Begin with `page.show`, which draws a page, and `controls.control`, which draws a control.
"""
