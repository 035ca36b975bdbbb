"""Three explanations of why normalization works, each measured, and what is left once it runs."""

from pages.components import page
from pages.lessons.why_it_works import covariate_shift, deployed, effective_rate, smoothness

page.show(
    "why",
    {
        "shift": covariate_shift,
        "smooth": smoothness,
        "turn": effective_rate,
        "deployed": deployed,
    },
)
