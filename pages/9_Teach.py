"""A class in the room: its question and its votes; for the lecturer, the plan of the lesson."""

from pages.components import page
from pages.lessons.teach import teach

page.show("teach", {"": teach})
