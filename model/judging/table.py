"""The table of `model evaluate`, on a terminal, in a pipe, as JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from model.judging.metrics import CLOSED, HIT_AT, JOINT, OPEN, PARTS, TEST, TRAIN, UNSEEN, Evaluation, Share
from model.system.events import note
from model.system.names import one_line, shown
from model.system.terminal import results, write_json

DOCUMENT = {(TRAIN, 2): 96.3, (TRAIN, 3): 96.3, (TEST, 2): 60.9, (TEST, 3): 62.5}
"""Hit@k among the trained labels, in percent, as the document reports it, of its own pictures."""

DOCUMENT_NAMED = "16/50"
"""Pictures of labels never trained on for which the document's head gave the very word."""

Row = tuple[str, ...]


def write_figures(evaluations: Sequence[Evaluation], *, as_json: bool) -> None:
    """Results on stdout: one object a projection, or the table."""
    if as_json:
        write_json(map(as_record, evaluations))
        return
    with results():
        if not sys.stdout.isatty():
            sys.stdout.writelines("\t".join(row) + "\n" for row in (header(evaluations), *rows(evaluations)))
            note("percent (95% interval); reported: by the document, of its own pictures")
        else:
            _write_table(evaluations)


def as_record(found: Evaluation) -> dict[str, Any]:
    """The figures as JSON has them; shares in percent, with their 95% intervals."""
    return {
        "projection": shown(found.name),
        "labels": len(found.labels),
        "unseen_labels": len(found.unseen),
        "hits": [
            {"part": part, "among": among, "k": k, **asdict(share)}
            for (part, among), hits in found.hits.items()
            for k, share in hits.items()
        ],
        "harmonic_mean": {str(k): mean for k, mean in found.harmonic.items()},
        "named": {"pictures": found.named[0], "of": found.named[1]},
        "map": {part: asdict(share) for part, share in found.mean_ap.items()},
        "r_precision": {part: asdict(share) for part, share in found.r_precision.items()},
    }


def header(evaluations: Sequence[Evaluation]) -> Row:
    """The table's head: a projection a column."""
    return ("figure", "reported", *(one_line(found.name) for found in evaluations))


def rows(evaluations: Sequence[Evaluation]) -> Iterator[Row]:
    """The table's rows: what, what the document reports, what each projection reaches."""
    for among in (CLOSED, JOINT, OPEN):
        for part in PARTS:
            for k in HIT_AT:
                shares = [found.hits.get((part, among), {}).get(k) for found in evaluations]
                if any(shares):
                    known = DOCUMENT.get((part, k)) if among == CLOSED else None
                    yield (f"{part} hit@{k}, {among}", f"{known}" if known else "", *map(told, shares))
    for k in HIT_AT:
        means = [found.harmonic.get(k) for found in evaluations]
        if any(mean is not None for mean in means):
            yield (f"harmonic mean of test and unseen hit@{k}", "", *("" if m is None else f"{m:.1f}" for m in means))
    if any(found.named[1] for found in evaluations):
        named = [f"{found.named[0]}/{found.named[1]}" for found in evaluations]
        yield ("unseen, the very word among 10 tags", DOCUMENT_NAMED, *named)
    for part, words in ((TEST, "trained"), (UNSEEN, "unseen")):
        for what in ("mean_ap", "r_precision"):
            shares = [getattr(found, what).get(part) for found in evaluations]
            if any(shares):
                yield (f"pictures for {words} words, {_NAMES[what]}", "", *map(told, shares))


def group_of(name: str) -> str:
    """What rows that belong together have in common: all of one part among one vocabulary."""
    what, at, k = name.partition(" hit@")
    return what + k.partition(", ")[2] if at else what.partition(", ")[0]


_NAMES = {"mean_ap": "mAP", "r_precision": "R-precision"}


def told(share: Share | None) -> str:
    """``98.6 (97.3-99.7)``: percent and its 95% interval, which one picture or word alone does not have."""
    if share is None or share.of == 1:
        return f"{share.percent:.1f}" if share else ""
    return f"{share.percent:.1f} ({share.low:.1f}-{share.high:.1f})"


def _write_table(evaluations: Sequence[Evaluation]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=SIMPLE_HEAD,
        pad_edge=False,
        caption="percent (95% interval); reported: by the document, of its own pictures",
        caption_justify="left",
    )
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
