"""The home page: the idea in one screen, six lessons, the pages, the data."""

from pages.components import home, page, turns

with turns.take():
    page.set_up("home")
    home.idea()
    home.lessons()
    home.pages()
    home.data()
