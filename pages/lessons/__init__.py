"""The lessons: one file is one lesson, its controls, its picture and its answer, top to bottom."""
