"""From a folder's files to framed pixels: scanning, decoding, framing, thumbnails, work done ahead in threads.

It must not know what an encoder makes of them."""

from model.pictures.cost import Cost, decoding_cost
from model.pictures.dataset import (
    SNAPSHOT_FILES,
    LeftOut,
    PictureFile,
    dataset_root,
    is_picture_file,
    label_of,
    picture_file,
    scan,
)
from model.pictures.decode import (
    DEFAULT_MAX_MEGAPIXELS,
    MAX_FILE_BYTES,
    decoder_version,
    heic_available,
    is_picture_name,
    open_framed,
    open_picture,
    reader_version,
)
from model.pictures.exclusion import IGNORE_FILE, Exclusions, is_junk
from model.pictures.framing import PUBLISHED, WHOLE, Framed, Framing, Pixels, framing_names
from model.pictures.photo_metadata import PhotoMetadata, Source, read_photo_metadata, wall_seconds
from model.pictures.prefetch import in_order
from model.pictures.refuting import Glances, Greys, Signatures, mirrored
from model.pictures.sameness import Looks, is_same
from model.pictures.signature import SIGNATURE_BYTES, SIGNATURE_SIDE, signature_of
from model.pictures.stills import RAW_ENDINGS, VIDEO_ENDINGS, is_still_name, raw_available, still_in, video_available
from model.pictures.thumbnails import LONGEST, MEDIA_TYPE, thumbnail

__all__ = [
    "DEFAULT_MAX_MEGAPIXELS",
    "IGNORE_FILE",
    "LONGEST",
    "MAX_FILE_BYTES",
    "MEDIA_TYPE",
    "PUBLISHED",
    "RAW_ENDINGS",
    "SIGNATURE_BYTES",
    "SIGNATURE_SIDE",
    "SNAPSHOT_FILES",
    "VIDEO_ENDINGS",
    "WHOLE",
    "Cost",
    "Exclusions",
    "Framed",
    "Framing",
    "Glances",
    "Greys",
    "LeftOut",
    "Looks",
    "PhotoMetadata",
    "PictureFile",
    "Pixels",
    "Signatures",
    "Source",
    "dataset_root",
    "decoder_version",
    "decoding_cost",
    "framing_names",
    "heic_available",
    "in_order",
    "is_junk",
    "is_picture_file",
    "is_picture_name",
    "is_same",
    "is_still_name",
    "label_of",
    "mirrored",
    "open_framed",
    "open_picture",
    "picture_file",
    "raw_available",
    "read_photo_metadata",
    "reader_version",
    "scan",
    "signature_of",
    "still_in",
    "thumbnail",
    "video_available",
    "wall_seconds",
]
