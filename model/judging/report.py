"""`model evaluate --report`: one self-contained page of an evaluation."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from markupsafe import Markup

from model.errors import UsageError
from model.judging import charts
from model.judging import table as figures
from model.judging.charts import Series
from model.judging.examples import specimens
from model.judging.metrics import CLOSED, JOINT, OPEN, PARTS, Evaluation
from model.page import asset, write_page
from model.system.atomic import replace_file
from model.system.names import one_line
from model.system.paths import expanded

FILE = "report.html"
LOSS, HIT = "loss", "hit@2"

MOST_CONFUSED = 60
"""Labels in a confusion picture: more cannot be read. Those with the most mistakes stay."""

MOST_MISTAKES = 15
"""Confusions put in words."""

_HEADER = Markup("<h1>{title}</h1>\n<p>{told}</p>\n")
_SECTION = Markup("<section>\n<h2>{heading}</h2>\n{inner}</section>\n")
_PART = Markup("<h3>{heading}</h3>\n{inner}")
_TOLD = Markup("<p>{text}</p>\n")
_CHARTS = Markup('<div class="charts">\n{inner}</div>\n')
_TABLE = Markup(
    '<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table></div>\n'
    "<p>Percent (95% interval). Reported: what the document tells, of its own pictures.</p>\n"
)
_COLUMN = Markup('<th scope="col">{name}</th>')
_ROW = Markup('<tr{kind}><th scope="row">{name}</th>{cells}</tr>\n')
_CELL = Markup("<td>{text}</td>")
_MISTAKES = Markup('<ol class="mistakes">\n{inner}</ol>\n')
_MISTAKE = Markup("<li>{label} taken for {guess}: {count} of {of}</li>\n")


def check_target(folder: Path) -> None:
    """Refuse before the minutes that an evaluation takes what would fail after them; makes the folder.

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
        *specimens(evaluations),
    )
    with _write_errors(page), replace_file(page) as file:
        style = asset("model", "report.css")
        write_page(file, title=_title(evaluations), style=style, header=_header(evaluations), body=sections)
    return page


def _page(folder: Path) -> Path:
    """Where the page goes; of a link, where it leads."""
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
    apart = "; ".join(f"{one_line(found.name)}: {told}" for found, told in zip(evaluations, amounts, strict=True))
    return _HEADER.format(title=_title(evaluations), told=amounts[0] if len(set(amounts)) == 1 else apart)


def _title(evaluations: Sequence[Evaluation]) -> str:
    names = ", ".join(one_line(found.name) for found in evaluations)
    return f"wordsight, judged: {names}"


def _amounts(found: Evaluation) -> str:
    tested = sum(int(row.sum()) for row in found.confusion)
    return (
        f"{_counted(len(found.labels), 'label')}, {_counted(tested, 'test picture')}, "
        f"{_counted(len(found.unseen), 'unseen label')}"
    )


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _figures(evaluations: Sequence[Evaluation]) -> Markup:
    head = Markup("").join(_COLUMN.format(name=name) for name in figures.header(evaluations))
    body, last = Markup(""), ""
    for name, *cells in figures.rows(evaluations):
        group = figures.group_of(name)
        kind = Markup(' class="first"') if last and group != last else ""
        body += _ROW.format(kind=kind, name=name, cells=Markup("").join(_CELL.format(text=cell) for cell in cells))
        last = group
    return _SECTION.format(heading="Figures", inner=_TABLE.format(head=head, body=body))


def _curves(evaluations: Sequence[Evaluation]) -> Markup:
    """Hit@k: a chart for each part and what its labels are looked for among, a colour for each projection."""
    inner = Markup("").join(
        charts.line_chart(
            f"{part}, {among}",
            series,
            across="k",
            top=100,
        )
        for among in (CLOSED, JOINT, OPEN)
        for part in PARTS
        if (series := _hits(evaluations, part, among))
    )
    if not inner:
        return Markup("")
    told = _TOLD.format(
        text="Pictures with their label among the first k: of the trained labels, of all, or of the tags."
    )
    return _SECTION.format(heading="Hit@k, in percent", inner=told + _CHARTS.format(inner=inner))


def _hits(evaluations: Sequence[Evaluation], part: str, among: str) -> list[Series]:
    return [
        Series(one_line(found.name), [(k, share.percent) for k, share in sorted(hits.items())], i, i // charts.COLOURS)
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
    drawn, told = Markup(""), []
    for what, caption, top in ((LOSS, "loss", None), (HIT, "test hit@2, in percent", 100.0)):
        points = [(step, at[what]) for step, at in enumerate(found.history, 1) if np.isfinite(at.get(what, np.nan))]
        if len(points) > 1:
            line = Series(one_line(found.name), points, colour, colour // charts.COLOURS)
            drawn += charts.line_chart(caption, [line], across="epoch, or evaluation of the loss (L-BFGS)", top=top)
        elif points:
            told.append(f"After step {points[0][0]}, {caption}: {points[0][1]:.4g}")
    sentence = f"{'; '.join(told)}." if told else ""
    return (_CHARTS.format(inner=drawn) if drawn else Markup("")) + (_TOLD.format(text=sentence) if told else "")


def _confusions(evaluations: Sequence[Evaluation]) -> Markup:
    inner = Markup("").join(
        _PART.format(heading=one_line(found.name), inner=_confusion(found))
        for found in evaluations
        if found.confusion.any()
    )
    if not inner:
        return Markup("")
    told = _TOLD.format(text="A row a label, a column the trained label that is nearest; shaded by share of the row.")
    return _SECTION.format(heading="Confusions of test pictures", inner=told + inner)


def _confusion(found: Evaluation) -> Markup:
    labels, counts = [one_line(label) for label in found.labels], found.confusion
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    kept = np.sort(np.argsort(-(wrong.sum(axis=0) + wrong.sum(axis=1)), kind="stable")[:MOST_CONFUSED])
    drawn = charts.heat_map([labels[row] for row in kept], counts[np.ix_(kept, kept)])
    if len(kept) < len(labels):
        drawn = _TOLD.format(text=f"The {len(kept)} of {len(labels)} labels with the most mistakes.") + drawn
    mistakes = sorted(np.argwhere(wrong).tolist(), key=lambda at: (-wrong[at[0], at[1]], at))
    if not mistakes:
        return drawn + _TOLD.format(text="No test picture is taken for another label.")
    listed = Markup("").join(
        _MISTAKE.format(
            label=labels[row], guess=labels[column], count=int(wrong[row, column]), of=int(counts[row].sum())
        )
        for row, column in mistakes[:MOST_MISTAKES]
    )
    drawn += _MISTAKES.format(inner=listed)
    if len(mistakes) > MOST_MISTAKES:
        left = sum(int(wrong[row, column]) for row, column in mistakes[MOST_MISTAKES:])
        drawn += _TOLD.format(text=f"And {_counted(left, 'picture')} more, in rarer confusions.")
    return drawn
