"""What a collection is made of: chosen when it is made, recorded with it, and the same in every later run."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from ingest.collection.evidence import sparse_names
from ingest.collection.projection import build_untrained, check_projection, keep_projection, recorded_with
from ingest.errors import CollectionMismatch
from ingest.records import CollectionMetadata, Pending
from ingest.stores import SEMANTIC, VISUAL, Store
from model.encoders import DEFAULT_MAX_SECONDS, Encoder, encoder_spec, need_classifier, open_encoder
from model.errors import UsageError
from model.pair import AUTO, choose_pair
from model.pictures import DEFAULT_MAX_MEGAPIXELS, PictureFile, decoder_version
from model.projections import BestProjection, ConseProjection, Projection, load_chosen, prepare_classes
from model.projections.training import RECIPES, need_learnable
from model.system.clock import now
from model.system.paths import is_there
from model.words import TextSpace, open_words, words_spec


@dataclass(frozen=True, slots=True)
class Options:
    """How to ingest.

    ``framing``: a rule's name; empty for the encoder's own, or the collection's. ``projection``: auto, a kind (conse,
    best, document), or a file's path. ``quantize``: as for `Collection.index`. ``re_embed``: read every file again,
    whether it changed or not. ``strict``: refuse damaged pictures, however much of them is left. ``remove_missing``:
    remove pictures whose files are gone, also where that looks like a disk that is not there; ``keep_missing``: none.
    ``metadata``: read of pictures indexed before it was done when, where and how they were taken. ``exclude``: patterns
    of what is left out, as of `model.pictures.Exclusions`. ``ocr``: read the text that stands in pictures, in this run
    and those after it; None for as before, False for not in this run. ``ray``: the address of a Ray cluster that
    embeds, or local. ``parts``: folders of the dataset, as paths below it, that alone are brought up to date.
    """

    encoder: str = AUTO
    words: str = AUTO
    framing: str = ""
    projection: str = AUTO
    offline: bool = False
    keep_missing: bool = False
    remove_missing: bool = False
    follow_links: bool = False
    exclude: tuple[str, ...] = ()
    metadata: bool = False
    ocr: bool | None = None
    retry: bool = False
    re_embed: bool = False
    strict: bool = False
    max_megapixels: int = DEFAULT_MAX_MEGAPIXELS
    max_seconds: int = DEFAULT_MAX_SECONDS
    device: str = AUTO
    quantize: bool | None = None
    ray: str = ""
    parts: tuple[str, ...] = ()


def parts_of(given: Sequence[str]) -> tuple[str, ...]:
    """Folders of a dataset as they were typed, as paths below it; one that lies in another is left out.

    Raises:
        UsageError: one does not lie below the dataset, or is all of it.
    """
    parts = sorted({PurePosixPath(part.replace(os.sep, "/")).as_posix() for part in given})
    for part in parts:
        if part.startswith("/") or part == "." or ".." in part.split("/"):
            raise UsageError(f"--part {part} is no folder below FOLDER: name it as it is seen from there")
    return tuple(part for part in parts if not any(part.startswith(f"{other}/") for other in parts))


def create(store: Store, name: str, root: Path, files: list[PictureFile], options: Options) -> Encoder:
    """Make the collection of a folder, with a projection that may be changed when its pictures are known.

    Returns:
        The encoder that was opened for it: on a GPU, opening it again would load it twice.

    Raises:
        WeightsError, ProjectionError, DatasetError: the models asked for are not here, or do not fit.
        StoreInUse: another run makes it.
    """
    given = projection_file(options)
    pair = choose_pair(options.encoder, options.words, offline=options.offline)
    words = open_words(pair.words)
    if options.projection in RECIPES:
        need_learnable(Counter(file.label for file in files if file.label), words)
    encoder = open_encoder(pair.encoder, framing=options.framing, device=options.device, many=True)
    projection = given or _first(encoder, words, options)
    metadata = CollectionMetadata(
        kind="pictures",
        vectors={VISUAL: encoder.spec.width, SEMANTIC: words.width},
        words=words.name,
        words_sha256=words.sha256,
        encoder=encoder.spec.name,
        encoder_sha256=encoder.sha256,
        framing=encoder.spec.framing.rule,
        sparse=sparse_names(encoder, words),
        pending=Pending.UNDECIDED if options.projection == AUTO and encoder.classifier else Pending.NOTHING,
        decoder=decoder_version(),
        root=str(root),
        created=now(),
    )
    metadata = recorded_with(metadata, projection)
    check_projection(projection, metadata)
    if metadata.sparse:
        prepare_classes(words)
    with store.create(name, replace(metadata, pending=Pending.CREATING)) as collection, store.writing(name):
        keep_projection(collection, projection)
        collection.save(metadata)
    return encoder


def _first(encoder: Encoder, words: TextSpace, options: Options) -> Projection:
    """What the pictures are projected by until a projection is trained on them.

    Raises:
        UsageError: the encoder has no classes, without which there is none, or not the one asked for.
    """
    if options.projection in (ConseProjection.kind, BestProjection.kind):
        need_classifier(encoder)
    return build_untrained(encoder, words)


def projection_file(options: Options) -> Projection | None:
    """The projection in the file that was asked for, None where it was a kind.

    Raises:
        ProjectionError: there is no such file, or it is broken. UsageError: a kind that was renamed.
    """
    return load_chosen(options.projection, (AUTO, ConseProjection.kind, *RECIPES))


def check_same(metadata: CollectionMetadata, name: str, root: Path, options: Options, *, may_move: bool) -> None:
    """Raises CollectionMismatch where a collection was made of another folder, encoder or words.

    Args:
        may_move: whether the folder may have been moved: somebody named the collection, not only a folder like it.
    """
    if metadata.kind != "pictures":
        raise CollectionMismatch(f"{name!r} holds words, not pictures: choose another name with --collection")
    is_gone = not is_there(Path(metadata.root))
    if metadata.root != str(root) and not (is_gone and may_move):
        moved = f"if it was moved here, say so with --collection {name}; if not, " if is_gone else ""
        raise CollectionMismatch(
            f"collection {name!r} holds the pictures of {metadata.root}, not of {root}: "
            f"{moved}give this folder a collection of its own with --collection NAME"
        )
    for what, asked, recorded, exists in (
        ("encoder", options.encoder, metadata.encoder, encoder_spec),
        ("words", options.words, metadata.words, words_spec),
    ):
        if asked not in (AUTO, recorded):
            exists(asked)
            raise CollectionMismatch(
                f"collection {name!r} was made with {what} {recorded}, not {asked}: vectors of two models cannot "
                "be compared; leave the option out, or make another collection with --collection NAME"
            )
    encoder_spec(metadata.encoder).framed_by(options.framing)
    if options.framing not in ("", metadata.framing) and not options.re_embed:
        raise CollectionMismatch(
            f"collection {name!r} was made with framing {metadata.framing}, not {options.framing}: pictures framed in "
            "two ways cannot be compared; leave the option out, embed them all again with --re-embed, or make another "
            "collection with --collection NAME"
        )
