"""What batch size does: which statistics batch norm uses, who shares them, and what it costs."""

from pages.components import page
from pages.lessons.batch_size_lab import inference, mates, rates, sweep

page.show("batch_lab", {"inference": inference, "mates": mates, "sweep": sweep, "cliff": rates})
