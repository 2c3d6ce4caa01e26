"""Picture encoders: what is known of each, its weights, running one, and embedding many files with it.

An encoder is one file, which registers itself. It must not know words, projections or stores. The torch side
(`model.encoders.torch`) is imported by its own name, by whoever needs torch."""

from model.encoders.base import (
    BUNDLED_ENCODER,
    CLASSES,
    ENCODERS,
    ONNX_FILE,
    STANDARD_ENCODER,
    Classifier,
    Encoder,
    EncoderSpec,
    Features,
    OnnxEncoder,
    encoder_spec,
    export_dir,
    installed_sha256,
    open_encoder,
    weights_dir,
    weights_file,
)
from model.encoders.embedding import DEFAULT_MAX_SECONDS, Embedded, Failed, Stopped, decode_threads, embed

__all__ = [
    "BUNDLED_ENCODER",
    "CLASSES",
    "DEFAULT_MAX_SECONDS",
    "ENCODERS",
    "ONNX_FILE",
    "STANDARD_ENCODER",
    "Classifier",
    "Embedded",
    "Encoder",
    "EncoderSpec",
    "Failed",
    "Features",
    "OnnxEncoder",
    "Stopped",
    "decode_threads",
    "embed",
    "encoder_spec",
    "export_dir",
    "installed_sha256",
    "open_encoder",
    "weights_dir",
    "weights_file",
]
