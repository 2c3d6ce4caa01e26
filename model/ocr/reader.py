"""Reads the text that stands in a picture, with PaddleOCR's models as RapidOCR runs them (extra ``ocr``).

Li et al. 2022, "PP-OCRv3", describes the two steps: where lines of text are, and what each says. Both models come in
RapidOCR's package and run in onnxruntime. It must not know where pictures and their texts are kept.
"""

from __future__ import annotations

import logging
import unicodedata
from importlib.util import find_spec
from typing import Any

import numpy as np
from PIL import Image

from model.errors import UsageError, WeightsError

DETECTED_SIDE = 1280
"""Pixels of the longer side at which lines are looked for. A photo of 12 MP takes 1.1 s of one core, 0.6 at 960 and 0.3
at 640, where small print is missed; phone screens and receipts were read alike at all three."""

READ_SIDE = 2000
"""Pixels of the longer side at which they are read; a larger picture is shrunk to it."""

UNCLIP_RATIO = 2.2
"""How far a line that was found is widened before it is read. Of the words of three dense pages 62% were read right by
the package's 1.6, 69% by this and 72% by 2.4; of large print on photographs 93%, 89% and 89%; of phone screens 97%."""

LEAST_CONFIDENCE = 0.6
"""Of a line, from 0 to 1: below are mostly leaves, feathers and patterns."""

LEAST_LETTERS = 2
"""A line of a single letter is mostly a stroke that looks like one."""

MOST_CHARACTERS = 10_000
"""Kept of a picture: three dense pages."""

PARAMETERS: dict[str, Any] = {
    "Global.log_level": "critical",
    "Global.max_side_len": READ_SIDE,
    "Global.text_score": LEAST_CONFIDENCE,
    "Det.limit_type": "max",
    "Det.limit_side_len": DETECTED_SIDE,
    "Det.unclip_ratio": UNCLIP_RATIO,
    "Rec.rec_batch_num": 1,  # lines of one batch are padded to the longest: a page takes a fifth longer by six
}


class TextReader:
    """Both models, loaded. One picture at a time; each uses all cores.

    Args:
        engine: RapidOCR's, called with (height, width, 3) uint8, blue first.
    """

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    def read(self, image: Image.Image) -> str:
        """The lines of text in a picture, as they stand, each ending where it ends there; empty where there is none.

        Args:
            image: RGB, upright, at the size of the file or at `READ_SIDE`.
        """
        pixels = np.ascontiguousarray(np.asarray(image.convert("RGB"))[:, :, ::-1])
        lines = (unicodedata.normalize("NFC", " ".join(line.split())) for line in self._engine(pixels).txts or ())
        return "\n".join(line for line in lines if len(line) >= LEAST_LETTERS)[:MOST_CHARACTERS]


def is_installed() -> bool:
    """Whether text can be read here."""
    return find_spec("rapidocr") is not None


def need_installed() -> None:
    """Raises UsageError where the extra is not installed."""
    if not is_installed():
        raise UsageError("text in pictures needs another package: pip install 'wordsight[ocr]', or leave out --ocr")


def open_text_reader() -> TextReader:
    """Load both models: 1.5 s.

    Raises:
        UsageError: the extra is not installed. WeightsError: a model cannot be loaded.
    """
    need_installed()
    try:
        from rapidocr import RapidOCR

        logging.getLogger("RapidOCR").setLevel(logging.CRITICAL)  # it tells of each picture without text
        return TextReader(RapidOCR(params=PARAMETERS))
    except Exception as error:  # whatever its engine raises where a model is broken
        raise WeightsError(
            f"the models of rapidocr cannot be loaded: {error}; pip install --force-reinstall rapidocr"
        ) from error
