"""The gradient of a normalization: in three terms, checked in four ways, and while training."""

from pages.components import page
from pages.lessons.backward_pass import bias, check, terms, training, weight

page.show(
    "backward",
    {"terms": terms, "weight": weight, "check": check, "training": training, "bias": bias},
)
