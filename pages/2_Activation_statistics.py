"""One batch of digits through the same weights, and what each method does to its activations."""

from pages.components import page
from pages.lessons.activation_statistics import channels, epsilon, histograms, invariances

page.show(
    "activations",
    {
        "histograms": histograms,
        "channels": channels,
        "microscope": epsilon,
        "invariances": invariances,
    },
)
