"""Answers as lines, pages and pictures in a terminal.

It must not know how a question is answered."""

from query.output.render import Style, write_words
from query.output.show import Show

__all__ = ["Show", "Style", "write_words"]
