"""Running an encoder that was exported to ONNX: what a folder of an export holds. It must not know torch."""

from __future__ import annotations

import json
import os
import threading
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.encoders.base import Classifier, EncoderSpec, Features, check_pictures
from model.system.prepared import cannot_read

ONNX_FILE = "encoder.onnx"
CLASSIFIER_FILE = "classifier.safetensors"
"""Not there for an encoder without classes."""

CPU_BATCH = 8
"""On one core a picture takes as long in any batch from 1 to 32; the memory of a batch grows with it."""


class OnnxEncoder:
    """An exported encoder on ONNX Runtime: no torch is imported. A picture's vector is the same to the bit in any
    batch, and with any number of streams.

    Args:
        folder: holds ``encoder.onnx`` and, for an encoder with classes, ``classifier.safetensors``.
        streams: share the cores between so many calls at once; with one, a single picture has all of them.
    """

    batch_size = CPU_BATCH

    def __init__(self, spec: EncoderSpec, sha256: str, folder: Path, *, streams: int = 1) -> None:
        self.spec = spec
        self.sha256 = sha256
        self.folder = folder
        self.streams = streams
        self._opening = threading.Lock()

    @cached_property
    def _session(self) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = max(1, (os.cpu_count() or 1) // self.streams) if self.streams > 1 else 0
        if self.streams > 1:  # waiting threads would take the cores that decode
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            return onnxruntime.InferenceSession(self.folder / ONNX_FILE, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises many unrelated types
            raise cannot_read(self.folder / ONNX_FILE, error) from error

    @cached_property
    def classifier(self) -> Classifier | None:
        return read_classifier(self.folder / CLASSIFIER_FILE) if self.spec.classifier else None

    def encode(self, pictures: NDArray[np.uint8]) -> Features:
        check_pictures(pictures, self.spec)
        with self._opening:  # streams that begin at once would each load the weights
            session = self._session
        features: Features = session.run(["features"], {"pictures": pictures})[0]
        return features


def read_classifier(path: Path) -> Classifier:
    """Read what `model.encoders.torch.export` wrote: two tensors, and the class names in the header.

    Raises:
        WeightsError: the file is missing or broken.
    """
    from safetensors import SafetensorError, safe_open

    try:
        path.open("rb").close()  # safetensors says of any failure that there is no such file
        with safe_open(path, framework="numpy") as file:
            names = tuple(json.loads(file.metadata()["classes"]))
            return Classifier(file.get_tensor("weight"), file.get_tensor("bias"), names)
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise cannot_read(path, error) from error
