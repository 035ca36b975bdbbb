"""The methods side by side: the same first weights, the same batches."""

from pages.components import page
from pages.lessons.compare import methods, surgery

page.show("compare", {"methods": methods, "surgery": surgery})
