"""Pictures of labels never trained on with what each projection calls them: a part of the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from markupsafe import Markup

from model.encoders import DEFAULT_MAX_SECONDS, decode_threads
from model.errors import PictureError
from model.judging.metrics import UNSEEN, Evaluation, Judged
from model.page import data_address
from model.pictures import LONGEST, in_order, thumbnail
from model.system.names import one_line

MOST_LABELS = 40
MOST_PICTURES = 12
"""Of a label: with 40 labels, a page of some 5 MB."""

BEST_OF = 4
"""Of these, so many are the best, where not all can be shown; the others are the worst."""

AHEAD = 16

_SECTION = Markup("<section>\n<h2>Unseen labels</h2>\n{told}</section>\n")
_LEGEND = Markup(
    '<p>Ten tags of each picture, the worst picture first: <mark>the very word</mark>, <span class="trained">a '
    'trained label</span>, <span class="tag">any other word</span>.{more}</p>\n'
)
_LABEL = Markup('<section>\n<h3>{label}: {told}</h3>\n<ol class="grid">\n{cards}</ol>\n</section>\n')
_CARD = Markup(
    '<li><figure>{picture}<figcaption><span class="path">{path}</span>'
    '<dl class="said">{said}</dl></figcaption></figure></li>\n'
)
_IMAGE = Markup('<span class="frame"><img src="{source}" alt="{name}"></span>')
_GONE = Markup('<span class="frame gone">not here, or not readable</span>')
_SAID = Markup('<dt>{name}: <span class="{kind}">{told}</span></dt><dd>{tags}</dd>')
_WORD = Markup("<mark>{word}</mark>")
_TRAINED = Markup('<span class="trained" title="trained on">{word}</span>')
_OTHER = Markup('<span class="tag">{word}</span>')


@dataclass
class Specimen:
    """A picture of a label that some projection was not trained on. ``said``: by whom, and what."""

    path: str
    label: str
    said: list[tuple[str, Judged]] = field(default_factory=list)

    @property
    def badness(self) -> tuple[int, int]:
        """How many miss the word, and how many tags stand before it."""
        return sum(not judged.is_named for _, judged in self.said), sum(judged.rank for _, judged in self.said)


def specimens(evaluations: Sequence[Evaluation]) -> Iterator[Markup]:
    """The section, in pieces; files are read while it is taken. Nothing where nothing is unseen."""
    labels = _by_label(evaluations)
    if not labels:
        return
    shown = labels[:MOST_LABELS]
    left_out = f" The {len(shown)} of {len(labels)} labels that are missed most." if len(shown) < len(labels) else ""
    yield _SECTION.format(told=_LEGEND.format(more=left_out))
    for found in shown:
        chosen, told = _chosen(found)
        cards = Markup("").join(_card(specimen, image) for specimen, image in _with_images(chosen))
        yield _LABEL.format(label=one_line(found[0].label), told=f"{_named(found)}{told}", cards=cards)


def _by_label(evaluations: Sequence[Evaluation]) -> list[list[Specimen]]:
    """Labels and their pictures, what goes wrong first."""
    found: dict[tuple[str, str], Specimen] = {}
    for evaluation in evaluations:
        for judged in evaluation.judged:
            sample = judged.sample
            if sample.part == UNSEEN:
                specimen = found.setdefault((sample.label, sample.path), Specimen(sample.path, sample.label))
                specimen.said.append((evaluation.name, judged))
    labels: dict[str, list[Specimen]] = {}
    for specimen in sorted(found.values(), key=lambda one: (*(-part for part in one.badness), one.path)):
        labels.setdefault(specimen.label, []).append(specimen)
    return sorted(labels.values(), key=lambda of: (-sum(one.badness[0] for one in of) / len(of), of[0].label))


def _named(found: Sequence[Specimen]) -> str:
    """``best 3 of 10, conse 4 of 10``."""
    told: dict[str, list[bool]] = {}
    for specimen in found:
        for name, judged in specimen.said:
            told.setdefault(name, []).append(judged.is_named)
    return "named by " + ", ".join(f"{one_line(name)} {sum(named)} of {len(named)}" for name, named in told.items())


def _chosen(found: Sequence[Specimen]) -> tuple[Sequence[Specimen], str]:
    if len(found) <= MOST_PICTURES:
        return found, ""
    worst = MOST_PICTURES - BEST_OF
    told = f"; the {worst} worst and the {BEST_OF} best of {len(found)} pictures"
    return [*found[:worst], *found[-BEST_OF:]], told


def _with_images(found: Sequence[Specimen]) -> Iterator[tuple[Specimen, bytes | None]]:
    return in_order(
        lambda one: (one, _image(Path(one.path))),
        found,
        threads=decode_threads(),
        ahead=AHEAD,
        limit=lambda _: DEFAULT_MAX_SECONDS,
        late=lambda one: (one, None),
    )


def _image(path: Path) -> bytes | None:
    """A JPEG file, or None where there is no picture."""
    try:
        if not path.is_file():  # nor a pipe, which would be waited for
            return None
        return thumbnail(path.read_bytes(), longest=LONGEST)
    except (PictureError, OSError, ValueError):
        return None


def _card(specimen: Specimen, image: bytes | None) -> Markup:
    path = one_line("/".join(Path(specimen.path).parts[-2:]))
    picture = _GONE
    if image is not None:
        picture = _IMAGE.format(source=data_address(image), name=path)
    said = Markup("").join(_tags(name, judged) for name, judged in specimen.said)
    return _CARD.format(picture=picture, path=path, said=said)


def _tags(name: str, judged: Judged) -> Markup:
    told = f"its tag {judged.rank + 1}" if judged.is_named else "missed"
    tags = Markup(" ").join(
        (_WORD if tag.word in judged.wanted else _TRAINED if tag.trained else _OTHER).format(word=one_line(tag.word))
        for tag in judged.tags
    )
    return _SAID.format(name=one_line(name), kind="right" if judged.is_named else "wrong", told=told, tags=tags)
