"""The table of `model evaluate`, on a terminal, in a pipe, as JSON.

It must not know how a figure is computed."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from model.judging.evaluation import (
    ALL_LABELS,
    PARTS,
    TAG_VOCABULARY,
    TEST,
    TRAIN,
    TRAINED_LABELS,
    UNSEEN,
    Estimate,
    Evaluation,
)
from model.projections.training import HIT_AT
from model.system.events import note
from model.system.names import one_line, shown
from model.system.terminal import results, write_json

DOCUMENT_HITS = {(TRAIN, 2): 96.3, (TRAIN, 3): 96.3, (TEST, 2): 60.9, (TEST, 3): 62.5}
"""Hit@k among the trained labels, in percent, as the document reports them for its own pictures."""

DOCUMENT_TAGGED = "16/50"
"""Pictures of unseen labels to which the document's head gave the label itself as a tag."""

LEGEND = "percent (95% confidence interval); reported: by the document, for its own pictures"

Row = tuple[str, ...]


def write_figures(evaluations: Sequence[Evaluation], *, as_json: bool) -> None:
    """Results on stdout: one object a projection, or the table."""
    if as_json:
        write_json(map(as_record, evaluations))
        return
    with results():
        if not sys.stdout.isatty():
            sys.stdout.writelines("\t".join(row) + "\n" for row in (header(evaluations), *rows(evaluations)))
            note(LEGEND)
        else:
            _write_table(evaluations)


def as_record(evaluation: Evaluation) -> dict[str, Any]:
    """The figures as JSON has them; shares in percent, with their 95% intervals."""
    return {
        "projection": shown(evaluation.name),
        "labels": len(evaluation.labels),
        "unseen_labels": len(evaluation.unseen),
        "hits": [
            {"part": part, "among": among, "k": k, **asdict(estimate)}
            for (part, among), hits in evaluation.hits.items()
            for k, estimate in hits.items()
        ],
        "harmonic_mean": {str(k): mean for k, mean in evaluation.harmonic_mean.items()},
        "named": {"pictures": evaluation.unseen_tagged[0], "of": evaluation.unseen_tagged[1]},
        "map": {part: asdict(estimate) for part, estimate in evaluation.mean_ap.items()},
        "r_precision": {part: asdict(estimate) for part, estimate in evaluation.r_precision.items()},
    }


def header(evaluations: Sequence[Evaluation]) -> Row:
    """The table's head: a projection a column."""
    return ("figure", "reported", *(one_line(evaluation.name) for evaluation in evaluations))


def rows(evaluations: Sequence[Evaluation]) -> Iterator[Row]:
    """The table's rows: the figure's name, what the document reports, what each projection reaches."""
    yield from _hit_rows(evaluations)
    for k in HIT_AT:
        means = [evaluation.harmonic_mean.get(k) for evaluation in evaluations]
        if any(mean is not None for mean in means):
            cells = ("" if mean is None else f"{mean:.1f}" for mean in means)
            yield (f"harmonic mean of test and unseen hit@{k}", "", *cells)
    if any(evaluation.unseen_tagged[1] for evaluation in evaluations):
        tagged = [f"{hits}/{of}" for hits, of in (evaluation.unseen_tagged for evaluation in evaluations)]
        yield ("unseen, own label among 10 tags", DOCUMENT_TAGGED, *tagged)
    for part, labels in ((TEST, "trained"), (UNSEEN, "unseen")):
        for name, estimates in (
            ("mAP", [evaluation.mean_ap.get(part) for evaluation in evaluations]),
            ("R-precision", [evaluation.r_precision.get(part) for evaluation in evaluations]),
        ):
            if any(estimates):
                yield (f"text search for {labels} labels, {name}", "", *map(_cell, estimates))


def _hit_rows(evaluations: Sequence[Evaluation]) -> Iterator[Row]:
    for among in (TRAINED_LABELS, ALL_LABELS, TAG_VOCABULARY):
        for part in PARTS:
            for k in HIT_AT:
                estimates = [evaluation.hits.get((part, among), {}).get(k) for evaluation in evaluations]
                if any(estimates):
                    reported = DOCUMENT_HITS.get((part, k)) if among == TRAINED_LABELS else None
                    yield (f"{part} hit@{k}, {among}", f"{reported}" if reported else "", *map(_cell, estimates))


def group_of(name: str) -> str:
    """What rows that belong together have in common: all of one part among the same candidates."""
    what, at, k = name.partition(" hit@")
    return what + k.partition(", ")[2] if at else what.partition(", ")[0]


def _cell(estimate: Estimate | None) -> str:
    """``98.6 (97.3-99.7)``: percent and its 95% interval, which one picture or label alone does not have."""
    if estimate is None or estimate.of == 1:
        return f"{estimate.percent:.1f}" if estimate else ""
    return f"{estimate.percent:.1f} ({estimate.low:.1f}-{estimate.high:.1f})"


def _write_table(evaluations: Sequence[Evaluation]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, caption=LEGEND, caption_justify="left")
    for column, name in enumerate(header(evaluations)):
        table.add_column(Text(name), justify="right" if column else "left")
    group = ""
    for row in rows(evaluations):
        now = group_of(row[0])
        if group and now != group:
            table.add_section()
        group = now
        table.add_row(*row)
    Console().print(table)
