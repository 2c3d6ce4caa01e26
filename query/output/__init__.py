"""Answers as lines, pages and pictures in a terminal.

It must not know how a question is answered."""

from query.output.render import Style, write_words
from query.output.show import Show
from query.output.tag_files import TagFormat, write_all_tags

__all__ = ["Show", "Style", "TagFormat", "write_all_tags", "write_words"]
