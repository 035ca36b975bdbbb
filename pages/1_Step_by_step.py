"""A small table of numbers, every step of every method, and the arithmetic of one cell."""

from pages.components import page
from pages.lessons.step_by_step import convolution, gamma_beta, relu, table

page.show("steps", {"table": table, "convolution": convolution, "relu": relu, "undo": gamma_beta})
