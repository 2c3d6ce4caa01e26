"""`model evaluate --report`: one self-contained page of an evaluation.

It must not know how a figure is computed, nor how a chart is drawn."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from model.errors import UsageError
from model.judging import charts
from model.judging import table as figures
from model.judging.charts import Series
from model.judging.evaluation import ALL_LABELS, PARTS, TAG_VOCABULARY, TRAINED_LABELS, Evaluation
from model.judging.examples import examples
from model.page import asset, write_page
from model.system.atomic import replace_file
from model.system.names import one_line
from model.system.paths import expanded

FILE = "report.html"
LOSS, HIT = "loss", "hit@2"

MOST_CONFUSED = 60
"""Labels in a confusion matrix: more cannot be read. Those with the most mistakes stay."""

MOST_MISTAKES = 15
"""Confusions listed in words below the matrix."""

_HEADER = Markup("<h1>{title}</h1>\n<p>{amounts}</p>\n")
_SECTION = Markup("<section>\n<h2>{heading}</h2>\n{inner}</section>\n")
_PART = Markup("<h3>{heading}</h3>\n{inner}")
_PARAGRAPH = Markup("<p>{text}</p>\n")
_CHARTS = Markup('<div class="charts">\n{inner}</div>\n')
_TABLE = Markup(
    '<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table></div>\n'
    "<p>{legend}</p>\n"
)
_COLUMN = Markup('<th scope="col">{name}</th>')
_ROW = Markup('<tr{kind}><th scope="row">{name}</th>{cells}</tr>\n')
_CELL = Markup("<td>{text}</td>")
_MISTAKES = Markup('<ol class="mistakes">\n{inner}</ol>\n')
_MISTAKE = Markup("<li>{label} taken for {guess}: {count} of {of}</li>\n")


def check_target(folder: Path) -> None:
    """Make the folder, and try to write into it, before an evaluation takes minutes.

    Raises:
        UsageError: a report cannot be written there.
    """
    page = _page(folder)
    with _write_errors(page):
        page.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=page.parent).close()
    if page.is_dir():
        raise UsageError(f"cannot write {page}: it is a folder; name another folder for the report")


def write_report(folder: Path, evaluations: Sequence[Evaluation]) -> Path:
    """Write ``report.html`` into ``folder``, which is made where missing; returns its path.

    Raises:
        UsageError: it cannot be written; an older report stays as it was.
    """
    page = _page(folder)
    sections = (
        _figures(evaluations),
        _curves(evaluations),
        _training(evaluations),
        _confusions(evaluations),
        *examples(evaluations),
    )
    with _write_errors(page), replace_file(page) as file:
        style = asset("model", "report.css")
        write_page(file, title=_title(evaluations), style=style, header=_header(evaluations), body=sections)
    return page


def _page(folder: Path) -> Path:
    """Where the page is written: a link is followed."""
    try:
        return (expanded(folder) / FILE).resolve()
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, before Python 3.13
        raise UsageError(f"cannot write a report to {folder}: a loop of links") from error


@contextmanager
def _write_errors(page: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(
            f"cannot write {one_line(str(page))}: {reason}; name a folder you may write to with --report"
        ) from error


def _header(evaluations: Sequence[Evaluation]) -> Markup:
    amounts = [_amounts(found) for found in evaluations]
    of_each = "; ".join(f"{one_line(found.name)}: {of}" for found, of in zip(evaluations, amounts, strict=True))
    return _HEADER.format(title=_title(evaluations), amounts=amounts[0] if len(set(amounts)) == 1 else of_each)


def _title(evaluations: Sequence[Evaluation]) -> str:
    names = ", ".join(one_line(found.name) for found in evaluations)
    return f"wordsight evaluation: {names}"


def _amounts(found: Evaluation) -> str:
    tested = sum(int(row.sum()) for row in found.confusion)
    return (
        f"{_counted(len(found.labels), 'label')}, {_counted(tested, 'test picture')}, "
        f"{_counted(len(found.unseen), 'unseen label')}"
    )


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _figures(evaluations: Sequence[Evaluation]) -> Markup:
    head = Markup("").join(_COLUMN.format(name=name) for name in figures.header(evaluations))
    body, last = Markup(""), ""
    for name, *cells in figures.rows(evaluations):
        group = figures.group_of(name)
        kind = Markup(' class="first"') if last and group != last else ""
        body += _ROW.format(kind=kind, name=name, cells=Markup("").join(_CELL.format(text=cell) for cell in cells))
        last = group
    return _SECTION.format(
        heading="Figures", inner=_TABLE.format(head=head, body=body, legend=_sentence(figures.LEGEND))
    )


def _curves(evaluations: Sequence[Evaluation]) -> Markup:
    """Hit@k: a chart for each part and kind of candidates, a colour for each projection."""
    inner = Markup("").join(
        charts.line_chart(f"{part}, {among}", series, across="k", top=100)
        for among in (TRAINED_LABELS, ALL_LABELS, TAG_VOCABULARY)
        for part in PARTS
        if (series := _hits(evaluations, part, among))
    )
    if not inner:
        return Markup("")
    legend = _PARAGRAPH.format(
        text="Pictures with their own label among the first k: of the trained labels, of all labels, or of the tags."
    )
    return _SECTION.format(heading="Hit@k, in percent", inner=legend + _CHARTS.format(inner=inner))


def _hits(evaluations: Sequence[Evaluation], part: str, among: str) -> list[Series]:
    return [
        Series(one_line(found.name), [(k, hit.percent) for k, hit in sorted(hits.items())], i, i // charts.COLOURS)
        for i, found in enumerate(evaluations)
        if (hits := found.hits.get((part, among)))
    ]


def _training(evaluations: Sequence[Evaluation]) -> Markup:
    inner = Markup("").join(
        _PART.format(heading=one_line(found.name), inner=_history(found, i))
        for i, found in enumerate(evaluations)
        if found.history
    )
    return _SECTION.format(heading="Training", inner=inner) if inner else Markup("")


def _history(found: Evaluation, colour: int) -> Markup:
    drawn, single = Markup(""), []
    for what, caption, top in ((LOSS, "loss", None), (HIT, "test hit@2, in percent", 100.0)):
        points = [(step, at[what]) for step, at in enumerate(found.history, 1) if np.isfinite(at.get(what, np.nan))]
        if len(points) > 1:
            line = Series(one_line(found.name), points, colour, colour // charts.COLOURS)
            drawn += charts.line_chart(caption, [line], across="epoch, or evaluation of the loss (L-BFGS)", top=top)
        elif points:
            single.append(f"After step {points[0][0]}, {caption}: {points[0][1]:.4g}")
    shown = _CHARTS.format(inner=drawn) if drawn else Markup("")
    return shown + (_PARAGRAPH.format(text=f"{'; '.join(single)}.") if single else "")


def _confusions(evaluations: Sequence[Evaluation]) -> Markup:
    inner = Markup("").join(
        _PART.format(heading=one_line(found.name), inner=_confusion(found))
        for found in evaluations
        if found.confusion.any()
    )
    if not inner:
        return Markup("")
    legend = _PARAGRAPH.format(
        text="A row for each label, a column for the nearest trained label; shaded by the share of the row."
    )
    return _SECTION.format(heading="Confusion of test pictures", inner=legend + inner)


def _confusion(found: Evaluation) -> Markup:
    labels, counts = [one_line(label) for label in found.labels], found.confusion
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    kept = np.sort(np.argsort(-(wrong.sum(axis=0) + wrong.sum(axis=1)), kind="stable")[:MOST_CONFUSED])
    matrix = charts.heat_map([labels[row] for row in kept], counts[np.ix_(kept, kept)])
    if len(kept) < len(labels):
        matrix = _PARAGRAPH.format(text=f"The {len(kept)} of {len(labels)} labels with the most mistakes.") + matrix
    return matrix + _mistakes(labels, counts, wrong)


def _mistakes(labels: Sequence[str], counts: NDArray[np.int64], wrong: NDArray[np.int64]) -> Markup:
    """The most frequent confusions in words, from ``counts`` and what of these is ``wrong``, (labels, labels)."""
    mistakes = sorted(np.argwhere(wrong).tolist(), key=lambda at: (-wrong[at[0], at[1]], at))
    if not mistakes:
        return _PARAGRAPH.format(text="No test picture is taken for another label.")
    listed = Markup("").join(
        _MISTAKE.format(
            label=labels[row], guess=labels[column], count=int(wrong[row, column]), of=int(counts[row].sum())
        )
        for row, column in mistakes[:MOST_MISTAKES]
    )
    rest = sum(int(wrong[row, column]) for row, column in mistakes[MOST_MISTAKES:])
    more = _PARAGRAPH.format(text=f"And {_counted(rest, 'picture')} more, in rarer confusions.") if rest else ""
    return _MISTAKES.format(inner=listed) + more
