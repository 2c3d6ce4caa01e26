"""The text that stands in pictures: screenshots, signs, receipts. It must not know what is done with it."""

from model.ocr.reader import READ_SIDE, TextReader, is_installed, need_installed, open_text_reader

__all__ = ["READ_SIDE", "TextReader", "is_installed", "need_installed", "open_text_reader"]
