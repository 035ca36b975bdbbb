"""Train the small network with chosen settings and watch it learn."""

from pages.components import page, trainings
from pages.lessons.train import training

trainings.note_link(training.SETTINGS)
page.show("train", {"training": training})
