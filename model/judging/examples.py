"""Pictures of unseen labels with the tags that each projection gives them: a part of the report.

It must not know how tags are found, nor the rest of the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from markupsafe import Markup

from model.encoders import DEFAULT_MAX_SECONDS, decode_threads
from model.errors import PictureError
from model.judging.evaluation import UNSEEN, Evaluation, Prediction
from model.page import data_address
from model.pictures import LONGEST, in_order, thumbnail
from model.system.names import one_line

MOST_LABELS = 40
MOST_PICTURES = 12
"""Of a label: with 40 labels, a page of some 5 MB."""

BEST_OF = 4
"""Of these, where not all can be shown: the pictures with the best tags; the others are those with the worst."""

AHEAD = 16

_SECTION = Markup("<section>\n<h2>Unseen labels</h2>\n{legend}</section>\n")
_LEGEND = Markup(
    '<p>Ten tags of each picture, the worst picture first: <mark>its own label</mark>, <span class="trained">a '
    'trained label</span>, <span class="tag">any other word</span>.{more}</p>\n'
)
_LABEL = Markup('<section>\n<h3>{label}: {summary}</h3>\n<ol class="grid">\n{cards}</ol>\n</section>\n')
_CARD = Markup(
    '<li><figure>{picture}<figcaption><span class="path">{path}</span>'
    '<dl class="said">{tags}</dl></figcaption></figure></li>\n'
)
_IMAGE = Markup('<span class="frame"><img src="{source}" alt="{name}"></span>')
_GONE = Markup('<span class="frame gone">missing, or not readable</span>')
_TAGS = Markup('<dt>{name}: <span class="{kind}">{verdict}</span></dt><dd>{tags}</dd>')
_OWN = Markup("<mark>{word}</mark>")
_TRAINED = Markup('<span class="trained" title="trained on">{word}</span>')
_OTHER = Markup('<span class="tag">{word}</span>')


@dataclass
class Example:
    """A picture of an unseen label. ``predictions``: with the names of the projections, which may be alike."""

    path: str
    label: str
    predictions: list[tuple[str, Prediction]] = field(default_factory=list)

    @property
    def badness(self) -> tuple[int, int]:
        """How many projections miss the label, and how many tags stand before it."""
        found = [prediction for _, prediction in self.predictions]
        return sum(not prediction.is_hit for prediction in found), sum(prediction.rank for prediction in found)


def examples(evaluations: Sequence[Evaluation]) -> Iterator[Markup]:
    """The section, piece by piece, as the files are read. Nothing where no label is unseen."""
    labels = _by_label(evaluations)
    if not labels:
        return
    shown = labels[:MOST_LABELS]
    left_out = f" The {len(shown)} of {len(labels)} labels that are missed most." if len(shown) < len(labels) else ""
    yield _SECTION.format(legend=_LEGEND.format(more=left_out))
    for found in shown:
        chosen, remark = _chosen(found)
        cards = Markup("").join(_card(example, image) for example, image in _with_images(chosen))
        yield _LABEL.format(label=one_line(found[0].label), summary=f"{_hits(found)}{remark}", cards=cards)


def _by_label(evaluations: Sequence[Evaluation]) -> list[list[Example]]:
    """The examples of each label, the worst first; the label that is missed most first."""
    found: dict[tuple[str, str], Example] = {}
    for evaluation in evaluations:
        for prediction in evaluation.predictions:
            sample = prediction.sample
            if sample.part == UNSEEN:
                example = found.setdefault((sample.label, sample.path), Example(sample.path, sample.label))
                example.predictions.append((evaluation.name, prediction))
    labels: dict[str, list[Example]] = {}
    for example in sorted(found.values(), key=lambda one: (*(-part for part in one.badness), one.path)):
        labels.setdefault(example.label, []).append(example)
    return sorted(labels.values(), key=lambda of: (-sum(one.badness[0] for one in of) / len(of), of[0].label))


def _hits(found: Sequence[Example]) -> str:
    """``found by best 3 of 10, conse 4 of 10``: pictures with their own label among the tags."""
    hits: dict[str, list[bool]] = {}
    for example in found:
        for name, prediction in example.predictions:
            hits.setdefault(name, []).append(prediction.is_hit)
    counts = (f"{one_line(name)} {sum(hit)} of {len(hit)}" for name, hit in hits.items())
    return f"found by {', '.join(counts)}"


def _chosen(found: Sequence[Example]) -> tuple[Sequence[Example], str]:
    """The examples to show, and what is shown where that is not all."""
    if len(found) <= MOST_PICTURES:
        return found, ""
    worst = MOST_PICTURES - BEST_OF
    remark = f"; the {worst} worst and the {BEST_OF} best of {len(found)} pictures"
    return [*found[:worst], *found[-BEST_OF:]], remark


def _with_images(found: Sequence[Example]) -> Iterator[tuple[Example, bytes | None]]:
    return in_order(
        lambda one: (one, _image(Path(one.path))),
        found,
        threads=decode_threads(),
        ahead=AHEAD,
        limit=lambda _: DEFAULT_MAX_SECONDS,
        late=lambda one: (one, None),
    )


def _image(path: Path) -> bytes | None:
    """A thumbnail as a JPEG file, or None where there is no picture."""
    try:
        if not path.is_file():  # a pipe would be waited for
            return None
        return thumbnail(path.read_bytes(), name=path.name, longest=LONGEST)
    except (PictureError, OSError, ValueError):
        return None


def _card(example: Example, image: bytes | None) -> Markup:
    path = one_line("/".join(Path(example.path).parts[-2:]))
    picture = _GONE
    if image is not None:
        picture = _IMAGE.format(source=data_address(image), name=path)
    tags = Markup("").join(_tags(name, prediction) for name, prediction in example.predictions)
    return _CARD.format(picture=picture, path=path, tags=tags)


def _tags(name: str, prediction: Prediction) -> Markup:
    verdict, kind = (f"tag {prediction.rank + 1}", "right") if prediction.is_hit else ("missed", "wrong")
    tags = Markup(" ").join(
        (_OWN if tag.word in prediction.accepted else _TRAINED if tag.trained else _OTHER).format(
            word=one_line(tag.word)
        )
        for tag in prediction.tags
    )
    return _TAGS.format(name=one_line(name), kind=kind, verdict=verdict, tags=tags)
