"""Picture encoders: what is known of each, its weights, running one, and embedding many files with it.

An encoder is one file, which registers itself when it is imported here. The room must not know words, projections
or stores. The torch side (`model.encoders.torch`) is imported by its own name, by whoever needs torch."""

from model.encoders import efficientnet_lite0, resnet50, vgg16  # noqa: F401 - each registers itself
from model.encoders.base import (
    CLASSES,
    Classifier,
    Encoder,
    EncoderSpec,
    Features,
    class_names,
    need_classifier,
    require_classes,
)
from model.encoders.embedding import (
    DEFAULT_MAX_SECONDS,
    Embedded,
    Failed,
    Record,
    Stopped,
    Vanished,
    decode_threads,
    embed,
    encode_views,
    read_file,
)
from model.encoders.onnx import OnnxEncoder
from model.encoders.opening import DEVICES, is_exported, need_export, open_encoder, prepare
from model.encoders.registry import encoder_names, encoder_spec, encoder_specs, register, unregister
from model.encoders.weights import export_dir, installed_sha256, weights_dir, weights_file

__all__ = [
    "CLASSES",
    "DEFAULT_MAX_SECONDS",
    "DEVICES",
    "Classifier",
    "Embedded",
    "Encoder",
    "EncoderSpec",
    "Failed",
    "Features",
    "OnnxEncoder",
    "Record",
    "Stopped",
    "Vanished",
    "class_names",
    "decode_threads",
    "embed",
    "encode_views",
    "encoder_names",
    "encoder_spec",
    "encoder_specs",
    "export_dir",
    "installed_sha256",
    "is_exported",
    "need_classifier",
    "need_export",
    "open_encoder",
    "prepare",
    "read_file",
    "register",
    "require_classes",
    "unregister",
    "weights_dir",
    "weights_file",
]
