"""Small copies of the layouts in which people publish pictures with text, each with what is to be made of it.

Where a layout is that of a data set, its name says which; the texts are made up.
"""

from tests.data.layouts import captions, classes, conversations, questions, writing
from tests.data.layouts.kit import Layout, write

__all__ = ["LAYOUTS", "Layout", "write"]

LAYOUTS = (*conversations.LAYOUTS, *questions.LAYOUTS, *captions.LAYOUTS, *writing.LAYOUTS, *classes.LAYOUTS)
