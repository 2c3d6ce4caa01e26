"""Line charts and heat maps as inline SVG: coloured by the page's classes, with a description in words.

It must not know what the numbers mean."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

COLOURS = 6
"""Classes ``series-0`` and on; further lines begin again, and differ by their dashes."""

DASHES = ("none", "6 3", "2 3")

_CHART = Markup(
    '<figure><figcaption>{caption}</figcaption><svg viewBox="0 0 {width} {height}" role="img" '
    'aria-label="{description}">{inner}</svg><ul class="key">{key}</ul></figure>\n'
)
_AXIS = Markup('<line class="axis" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>')
_TEXT = Markup('<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>')
_CURVE = Markup('<polyline class="curve series-{colour}" stroke-dasharray="{dash}" points="{points}"/>')
_DOT = Markup('<circle class="dot series-{colour}" cx="{x:.1f}" cy="{y:.1f}" r="2.5"><title>{title}</title></circle>')
_KEY = Markup(
    '<li><svg viewBox="0 0 28 8" aria-hidden="true"><line class="curve series-{colour}" stroke-dasharray="{dash}" '
    'x1="0" y1="4" x2="28" y2="4"/></svg>{name}</li>'
)
_HEAT = Markup(
    '<div class="wide"><svg class="heat" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" '
    'aria-label="{description}">{inner}</svg></div>\n'
)
_FIELD = Markup('<rect class="field" x="{x}" y="{y}" width="{width}" height="{height}"/>')
_CELL = Markup(
    '<rect class="cell{kind}" fill-opacity="{shade:.2f}" x="{x}" y="{y}" width="{side}" height="{side}">'
    "<title>{title}</title></rect>"
)
_COUNT = Markup('<text class="count" x="{x}" y="{y}">{count}</text>')
_TURNED = Markup('<text transform="translate({x} {y}) rotate(-60)">{text}</text>')


@dataclass(frozen=True, slots=True)
class Series:
    """One line. ``points``: x and y, by x. ``colour``, ``dash``: numbers, equal for lines that look alike."""

    name: str
    points: Sequence[tuple[float, float]]
    colour: int = 0
    dash: int = 0


@dataclass(frozen=True, slots=True)
class Chart:
    """Where things are in a line chart, in SVG units."""

    width: int = 420
    height: int = 230
    left: int = 46
    right: int = 12
    top: int = 8
    bottom: int = 34
    most_dots: int = 15


@dataclass(frozen=True, slots=True)
class Heat:
    """Where things are in a heat map, in SVG units, which are pixels. ``letters``: a longer name is cut."""

    cell: int = 20
    letter: int = 7
    letters: int = 18
    faintest: float = 0.25
    darkest: float = 0.6


def line_chart(
    caption: str, series: Sequence[Series], *, across: str, top: float | None = None, shape: Chart = Chart()
) -> Markup:
    """A chart of lines over one axis.

    Args:
        across: what the x axis is. top: where the y axis ends; without it where the highest point is.
    """
    points = [point for line in series for point in line.points]
    if not points:
        return Markup("")
    low, high = min(x for x, _ in points), max(x for x, _ in points)
    ticks = _ticks(top if top is not None else max(y for _, y in points))
    height, width = shape.height - shape.top - shape.bottom, shape.width - shape.left - shape.right

    def place(x: float, y: float) -> tuple[float, float]:
        share = (x - low) / (high - low) if high > low else 0.5
        return shape.left + share * width, shape.top + (1 - y / ticks[-1]) * height

    inner = Markup("").join(_axis_y(tick, place(low, tick)[1], shape) for tick in ticks)
    inner += Markup("").join(
        _TEXT.format(x=place(x, 0)[0], y=shape.height - 18, anchor="middle", text=f"{x:g}") for x in _steps(points)
    )
    inner += _TEXT.format(x=shape.left + width / 2, y=shape.height - 3, anchor="middle", text=across)
    inner += Markup("").join(_line(line, place, shape.most_dots) for line in series)
    return _CHART.format(
        caption=caption,
        width=shape.width,
        height=shape.height,
        description=_description(caption, series),
        inner=inner,
        key=_key(series),
    )


def _description(caption: str, series: Sequence[Series]) -> str:
    """``loss. best: from 0.9 to 0.1``: for who cannot see the chart."""
    ends = (f"{line.name}: from {line.points[0][1]:.4g} to {line.points[-1][1]:.4g}" for line in series if line.points)
    return f"{caption}. {'; '.join(ends)}"


def _key(series: Sequence[Series]) -> Markup:
    return Markup("").join(
        _KEY.format(colour=line.colour % COLOURS, dash=DASHES[line.dash % len(DASHES)], name=line.name)
        for line in series
    )


def _axis_y(tick: float, y: float, shape: Chart) -> Markup:
    line = _AXIS.format(x1=shape.left, y1=y, x2=shape.width - shape.right, y2=y)
    return line + _TEXT.format(x=shape.left - 6, y=y + 4, anchor="end", text=f"{tick:g}")


def _line(line: Series, place: Callable[[float, float], tuple[float, float]], most_dots: int) -> Markup:
    places = [place(x, y) for x, y in line.points]
    colour, dash = line.colour % COLOURS, DASHES[line.dash % len(DASHES)]
    drawn = _CURVE.format(colour=colour, dash=dash, points=" ".join(f"{x:.1f},{y:.1f}" for x, y in places))
    if len(places) > most_dots:
        return drawn
    return drawn + Markup("").join(
        _DOT.format(colour=colour, x=x, y=y, title=f"{line.name}, {point[0]:g}: {point[1]:.4g}")
        for (x, y), point in zip(places, line.points, strict=True)
    )


def _ticks(top: float) -> list[float]:
    """Four to eight round numbers from 0 to ``top`` or just above."""
    if not top > 0:
        return [0.0, 1.0]
    magnitude = 10 ** math.floor(math.log10(top))
    step = next(magnitude * part for part in (0.2, 0.25, 0.5, 1, 2) if top / (magnitude * part) <= 6)
    return [round(step * i, 12) for i in range(math.ceil(top / step - 1e-9) + 1)]


def _steps(points: Sequence[tuple[float, float]]) -> list[float]:
    """The x values that are written below the axis: all where they are few, else some six."""
    found = sorted({x for x, _ in points})
    if len(found) <= 10:
        return found
    step = math.ceil(len(found) / 6)
    return [found[0], *(x for x in found[:-1] if x % step == 0 and x - found[0] >= step / 2), found[-1]]


def heat_map(labels: Sequence[str], counts: NDArray[np.int64], *, shape: Heat = Heat()) -> Markup:
    """Counts (labels, labels): a row a label, a column a prediction; what is right in another colour."""
    names = [label if len(label) <= shape.letters else label[: shape.letters - 1] + "…" for label in labels]
    side = shape.cell
    margin = 12 + shape.letter * max(map(len, names), default=0)
    width = margin + side * len(names) + margin // 2
    height = margin + side * len(names) + 4
    inner = _FIELD.format(x=margin, y=margin, width=side * len(names), height=side * len(names))
    for i, name in enumerate(names):
        middle = i * side + side // 2
        inner += _TEXT.format(x=margin - 6, y=margin + middle + 4, anchor="end", text=name)
        inner += _TURNED.format(x=margin + middle + 3, y=margin - 6, text=name)
    inner += Markup("").join(
        _cell(row, column, int(counts[row, column]), counts[row].sum(), labels, margin, shape)
        for row, column in np.argwhere(counts).tolist()
    )
    right, total = int(np.trace(counts)), int(counts.sum())
    description = f"{right} of {total} pictures on the diagonal, {total - right} beside it"
    return _HEAT.format(width=width, height=height, description=description, inner=inner)


def _cell(row: int, column: int, count: int, of: int, labels: Sequence[str], margin: int, shape: Heat) -> Markup:
    x, y = margin + column * shape.cell, margin + row * shape.cell
    shade = shape.faintest + (1 - shape.faintest) * count / of
    kind = " right" if row == column else ""
    what = labels[row] if row == column else f"{labels[row]} taken for {labels[column]}"
    title = f"{what}: {count} of {of}"
    drawn = _CELL.format(kind=kind, shade=shade * shape.darkest, x=x, y=y, side=shape.cell, title=title)
    return drawn + _COUNT.format(x=x + shape.cell // 2, y=y + shape.cell // 2 + 4, count=count)
