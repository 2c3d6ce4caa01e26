"""Answers as lines, pages and pictures in a terminal."""

from query.output.render import Style, write_duplicates, write_words
from query.output.show import Show, ask_in_words, ask_with_picture

__all__ = ["Show", "Style", "ask_in_words", "ask_with_picture", "write_duplicates", "write_words"]
