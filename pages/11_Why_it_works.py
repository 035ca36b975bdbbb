"""Three explanations of why normalization works, each measured."""

from pages.components import page
from pages.lessons.why_it_works import covariate_shift, effective_rate, smoothness

page.show("why", {"shift": covariate_shift, "smooth": smoothness, "turn": effective_rate})
