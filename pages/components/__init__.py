"""What the pages share, and the only code that knows both Streamlit and normlib.

page      the set-up every page calls first, navigation, questions and answers, links to copy
settings  every control: one table row, one widget, one URL parameter
server    what one server process has once: TensorFlow, the data, the queue of experiments
charts    pictures from tidy rows, each with a caption, a summary in words and a table
theme     one colour and one dash per method, and the sizes of type and lines
source    the function that ran, next to its formula
"""
