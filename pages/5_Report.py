"""The report's three tables, reproduced; its ops against TensorFlow's; why weight norm lost."""

from pages.components import page
from pages.lessons.report import layer, library, tables, weight

page.show("report", {"tables": tables, "library": library, "layer": layer, "weight": weight})
