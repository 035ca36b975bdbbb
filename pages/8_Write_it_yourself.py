"""The assignment: write the normalizations yourself, and have them checked."""

from pages.components import page
from pages.lessons.write import exercise

page.show("write", {"": exercise})
