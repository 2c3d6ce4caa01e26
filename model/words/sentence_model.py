"""The sentence model of all-MiniLM-L6-v2 on ONNX Runtime: texts to unit vectors. It must not import torch or know
where words are looked up.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.system.prepared import cannot_read

Vectors = NDArray[np.float32]

WIDTH = 384
MOST_TOKENS = 128
"""As many as the model was trained on; what follows is cut off."""

BATCH = 64
GRAPH_FILE = "sentences.onnx"
TENSORS_FILE = "sentences.bin"
TOKENIZER_FILE = "tokenizer.json"
VOCABULARY = "glove-6b-50d"
"""The text space whose list of words, by frequency, this one takes."""


class SentenceModel:
    """Texts to unit vectors, on ONNX Runtime. It is loaded when the first text is embedded; threads share one.

    Args:
        folder: holds the graph, its tensors and the tokenizer.
        many: for many texts, rather than for one as soon as possible: the weights are copied into the order that
            the processor likes best (60 ms), which one text does not pay for.
    """

    def __init__(self, folder: Path, *, many: bool = False) -> None:
        self._folder, self._many = folder, many
        self._loading = threading.Lock()

    @cached_property
    def _session(self) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        if not self._many:
            options.add_session_config_entry("session.disable_prepacking", "1")
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL  # done at export
        options.log_severity_level = 3
        path = self._folder / GRAPH_FILE
        try:
            return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises many unrelated types
            raise cannot_read(path, error) from error

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        path = self._folder / TOKENIZER_FILE
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises bare exceptions
            raise cannot_read(path, error) from error
        tokenizer.no_padding()  # the file pads every text to 128 tokens
        tokenizer.enable_truncation(MOST_TOKENS)
        return tokenizer

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """The numbers of each text's tokens, those of its beginning and end included."""
        with self._loading:
            tokenizer = self._tokenizer
        return [encoded.ids for encoded in tokenizer.encode_batch_fast(list(texts))]

    def embed(self, texts: Sequence[str], advance: Callable[[int], None] = lambda _: None) -> Vectors:
        """(n, 384) in the order of ``texts``. Texts of like length are embedded together, so that little is padded.

        Args:
            advance: called with the number of texts that each batch embedded.
        """
        tokens = self.tokens(texts)
        order = sorted(range(len(tokens)), key=lambda row: len(tokens[row]))
        vectors = np.zeros((len(tokens), WIDTH), np.float32)
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            vectors[rows] = self._run([tokens[row] for row in rows])
            advance(len(rows))
        return vectors

    def _run(self, tokens: Sequence[Sequence[int]]) -> Vectors:
        longest = max(map(len, tokens))
        ids = np.zeros((len(tokens), longest), np.int64)
        mask = np.zeros((len(tokens), longest), np.int64)
        for row, own in enumerate(tokens):
            ids[row, : len(own)] = own
            mask[row, : len(own)] = 1
        with self._loading:
            session = self._session
        vectors: Vectors = session.run(["vectors"], {"ids": ids, "mask": mask})[0]
        return vectors
