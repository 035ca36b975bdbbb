"""Many layers: what becomes of a signal, and which depths can be trained."""

from pages.components import page
from pages.lessons.depth_lab import curves, layers, signal, trainable

page.show("depth", {"signal": signal, "map": trainable, "curves": curves, "layers": layers})
