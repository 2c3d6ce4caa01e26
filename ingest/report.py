"""What the command `ingest` shows: how a run ended, the collections, the bad files, an export, a check.

It must not know how any of it came about."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ingest.collection import RunProgress, read_failures, read_missing, read_progress
from ingest.errors import StoreError
from ingest.pipeline import Backup, Checked, Plan, Report
from ingest.stores import VISUAL, Store
from ingest.stores.snapshot import Manifest, Verified
from model.errors import DiskFull
from model.pictures import RAW_ENDINGS, VIDEO_ENDINGS, LeftOut
from model.system.clock import in_words
from model.system.disk import in_mb
from model.system.events import note
from model.system.names import first_of, shown
from model.system.terminal import results, write_json

SHOWN_LABELS = 12
SHOWN_KINDS = 10
"""Endings, patterns and kinds of junk named on the screen."""

SHOWN_FOLDERS = 20
"""Unreadable folders named on the screen."""


def what_changed(report: Report) -> str:
    """Of a run that kept a collection in step: what it found, empty where nothing changed."""
    removed = report.removed + report.excluded
    return _listed({"new": report.added, "changed": report.updated, "removed": removed, "bad": report.failed})


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count)


def note_run(report: Report) -> None:
    """The summary line of a run, and what was left out."""
    counts = {
        "new": report.added,
        "changed": report.updated,
        "damaged but shown": report.damaged,
        "unchanged": report.unchanged,
        "removed": report.removed,
        "excluded by now and removed": report.excluded,
        "missing but kept": report.missing,
        "gone meanwhile": report.vanished,
        "bad": report.failed,
        "bad before and not tried again": report.failed_before,
    }
    copied = f"; {report.copied} of them known by their content, not encoded again" if report.copied else ""
    note(f"{report.collection}: {report.total} pictures; {_listed(counts) or 'nothing to do'}{copied}")
    if report.described:
        note(f"when, where and how they were taken was read of {report.described} pictures")
    if report.read:
        pictures = "1 picture" if report.read == 1 else f"{report.read} pictures"
        note(f"text was looked for in {pictures}, and found in {report.written}")
    note_gone(report)
    _note_left_out(report.left_out)
    if report.interrupted:
        note(f"interrupted after {report.done} of {report.to_do}: run the same command again to continue")


def note_plan(plan: Plan) -> None:
    """What a run would do, and about how long it would take."""
    report = plan.report
    counts = {
        "new": report.added,
        "changed": report.updated,
        "unchanged": report.unchanged,
        "excluded by now and to be removed": report.excluded,
        "not at their place any more": report.missing,
        "bad before and not to be tried again": report.failed_before,
    }
    where = "to be made" if plan.is_new else f"{report.total} pictures"
    note(f"{report.collection}: {where}; {_listed(counts) or 'nothing to do'}")
    if plan.sampled:
        took = f"as {plan.sampled} of them took" if plan.sampled < report.to_do else "as they took now"
        note(f"reading and encoding {report.to_do} pictures would take about {in_words(plan.seconds)}, {took}")
    _note_left_out(report.left_out)
    note("nothing was changed: --dry-run")


def note_gone(report: Report) -> None:
    """Pictures kept because it is not sure that they were deleted, the folders with the most of them first."""
    by_number = sorted(report.gone.items(), key=lambda item: -item[1])
    for folder, count in by_number[:SHOWN_FOLDERS]:
        what = (
            f"the folder {shown(folder)!r} is gone or empty" if folder else "files in folders that are there are gone"
        )
        note(f"{what}: {_pictures(count)} kept, as missing")
    if len(by_number) > SHOWN_FOLDERS:
        note(f"{len(by_number)} folders are gone or empty in all")
    if by_number:
        note("a disk that is not there looks like this; if they were deleted, run the same command with --yes")


def _pictures(count: int) -> str:
    return "1 picture is" if count == 1 else f"{count} pictures are"


def _note_left_out(left_out: LeftOut) -> None:
    for folder, reason in list(left_out.unreadable.items())[:SHOWN_FOLDERS]:
        note(f"could not read the folder {folder!r}: {reason}; what was indexed of it is kept")
    if len(left_out.unreadable) > SHOWN_FOLDERS:
        note(f"{len(left_out.unreadable)} folders could not be read in all")
    if left_out.links:
        note(f"links to folders not entered: {len(left_out.links)}; --follow-links enters them")
    if left_out.snapshots:
        named = ", ".join(shown(folder) for folder in left_out.snapshots[:SHOWN_FOLDERS])
        note(f"snapshots left out, because their pictures are copies: {named}")
    if left_out.junk:
        names = ", ".join(f"{count} {shown(name)}" for name, count in left_out.junk.most_common(SHOWN_KINDS))
        note(f"folders of other programs' junk left out: {left_out.junk.total()} ({names})")
    if left_out.excluded:
        patterns = ", ".join(f"{count} by {shown(what)}" for what, count in left_out.excluded.most_common(SHOWN_KINDS))
        note(f"pictures and folders excluded: {left_out.excluded.total()} ({patterns})")
    if left_out.special:
        note(f"pipes, sockets and devices left out: {left_out.special}")
    if left_out.endings:
        endings = ", ".join(f"{count} {shown(ending)}" for ending, count in left_out.endings.most_common(SHOWN_KINDS))
        more = (
            f" and {len(left_out.endings) - SHOWN_KINDS} other endings" if len(left_out.endings) > SHOWN_KINDS else ""
        )
        note(f"other files left out: {left_out.endings.total()} ({endings}{more})")
        for what, extra, known in (("raw files", "raw", RAW_ENDINGS), ("videos", "video", VIDEO_ENDINGS)):
            if count := sum(count for ending, count in left_out.endings.items() if ending in known):
                note(f"{what} are left out, {count}, without another package: pip install 'wordsight[{extra}]'")


def status_rows(store: Store) -> list[dict[str, Any]]:
    """One record a collection of pictures.

    Where a collection cannot be opened now, ``problem`` says why, ``labels`` is None, and ``pictures`` is what the
    last completed run recorded.
    """
    rows = []
    for name in store.collections():
        summary = store.summary(name)
        metadata = summary.metadata
        counted, run, problem = _counted(store, name)
        rows.append(
            {
                "collection": name,
                "pictures": summary.points if counted is None else counted[0],
                "labels": None if counted is None else counted[1],
                "damaged": None if counted is None else counted[2],
                "missing": None if counted is None else counted[3],
                "encoder": metadata.encoder,
                "encoder_sha256": metadata.encoder_sha256,
                "framing": metadata.framing,
                "words": metadata.words,
                "words_sha256": metadata.words_sha256,
                "projection": metadata.projection,
                "projection_sha256": metadata.projection_sha256,
                "decoder": metadata.decoder,
                "engine": summary.engine,
                "pending": metadata.pending,
                "trained_labels": len(metadata.trained),
                "not_learnt": list(metadata.not_learnt),
                "folder": metadata.root,
                "created": metadata.created,
                "updated": metadata.updated,
                "bytes": summary.size,
                "graph": summary.graph,
                "quantized": summary.quantized,
                "server": asdict(summary.health) if summary.health else None,
                "ocr": metadata.ocr,
                "search_width": metadata.search_width,
                "recall": dict(metadata.recall),
                "run": {**asdict(run), "silent": run.is_silent} if run else None,
                "problem": problem,
            }
        )
    return rows


def _counted(store: Store, name: str) -> tuple[tuple[int, int, int, int] | None, RunProgress | None, str]:
    """Pictures, labels, damaged and missing pictures, counted in the collection itself, since its record lags behind
    while it is written; or None and the reason why they cannot be counted. With the progress of a run."""
    try:
        with store.open(name) as collection:
            damaged = sum(failure.shown for failure in read_failures(collection).values())
            missing = sum(gone.pictures for gone in read_missing(collection).values())
            counts = (collection.count(), len(collection.labels()), damaged, missing)
            return counts, read_progress(collection), ""
    except (StoreError, DiskFull) as error:
        return None, None, str(error)


def write_status(rows: Sequence[Mapping[str, Any]], where: str) -> None:
    """A paragraph a collection on stdout."""
    for row in rows:
        labels = "not available" if row["labels"] is None else row["labels"]
        trained = f", trained on {row['trained_labels']} labels" if row["trained_labels"] else ""
        damaged = f", {row['damaged']} damaged but shown" if row["damaged"] else ""
        missing = f", {row['missing']} missing" if row["missing"] else ""
        unlearnt = [*map(shown, row["not_learnt"])]
        projection = f"{row['projection']} {row['projection_sha256'][:8]}".rstrip()
        made_with = ", ".join(filter(None, (row["decoder"], row["engine"])))
        pending = " (an `ingest run` ended early: run it again)" if row["pending"] else ""
        lines = [
            row["collection"],
            f"  pictures    {row['pictures']}, labels {labels}{damaged}{missing}",
            f"  folder      {shown(row['folder'])}",
            f"  encoder     {row['encoder']} {row['encoder_sha256'][:8]}, framing {row['framing']}",
            f"  words       {row['words']} {row['words_sha256'][:8]}",
            f"  projection  {projection}{trained}{pending}",
            *([f"  not learnt  {first_of(unlearnt, SHOWN_LABELS)}"] if unlearnt else []),
            *([f"  made with   {made_with}"] if made_with else []),
            *(["  text        that stands in pictures is read"] if row["ocr"] else []),
            f"  search      {_kind_of_search(row)}",
            *([f"  run         {_of_run(row['run'])}"] if row["run"] else []),
            f"  updated     {row['updated'] or 'never completed'}",
            f"  store       {where}" + (f", {in_mb(row['bytes'])}" if row["bytes"] is not None else ""),
        ]
        lines += [f"  server      {line}" for line in _of_server(row["server"])]
        lines += [f"  problem     {row['problem']}"] if row["problem"] else []
        sys.stdout.write("\n".join(lines) + "\n")


def _of_run(run: Mapping[str, Any]) -> str:
    bad = f", {run['bad']} bad" if run["bad"] else ""
    where = f" of {', '.join(map(shown, run['parts']))}" if run["parts"] else ""
    ended = ": it has ended early, run it again" if run["silent"] else ""
    return f"{run['task']}, {run['done']} of {run['total']} {run['unit']}{where}{bad}, at {run['at']}{ended}"


def _of_server(health: Mapping[str, Any] | None) -> list[str]:
    if not health:
        return []
    meaning = {"yellow": " (it optimizes)", "grey": " (it optimizes after the next write)", "red": " (it failed)"}
    state = f"{health['status']}{meaning.get(health['status'], '')}, {health['indexed']} vectors indexed"
    nodes = f", {health['nodes']} nodes" if (health["nodes"] or 1) > 1 else ""
    spread = f"shards {health['shards']}, replicas {health['replicas']}{nodes}"
    error = [f"its optimizer failed: {health['error']}"] if health["error"] else []
    return [state, spread, *error, *health["trouble"]]


def _kind_of_search(row: Mapping[str, Any]) -> str:
    if not row["graph"]:
        return "exact"
    codes = " with int8 codes" if row["quantized"] else ""
    found = ", ".join(f"{space} {recall:.3f}" for space, recall in row["recall"].items())
    measured = f", recall@10 {found}" if found else ""
    return f"graph (HNSW) over {row['graph']} pictures{codes}{measured}; exact among newer ones"


def names_of(store: Store, collection: str) -> list[str]:
    """The one collection named, or all."""
    return [collection] if collection else list(store.collections())


def failure_rows(store: Store, collection: str) -> list[dict[str, Any]]:
    """The bad files of one collection, or of all."""
    rows = []
    for name in names_of(store, collection):
        with store.open(name) as opened:
            failures = read_failures(opened)
        rows += [{"collection": name, **asdict(row), "path": shown(row.path)} for row in failures.values()]
    return rows


def write_failures(rows: Sequence[Mapping[str, Any]]) -> None:
    """A line a file: path, reason, when; control characters escaped."""
    for row in rows:
        shown_as = "damaged but shown: " if row["shown"] else ""
        sys.stdout.write(f"{row['path']!r}\t{shown_as}{row['reason']}\t{row['at']}\n")


def write_checked(checked: Sequence[Checked], *, as_json: bool) -> None:
    """What `ingest check` found and did, on stdout: a line a collection, and one for each problem."""
    if as_json:
        rows = [{"collection": c.name, "points": c.points, "problems": c.problems, "mended": c.mended} for c in checked]
        write_json(rows)
        return
    for one in checked:
        state = f"mended, {one.mended}" if one.mended else "damaged" if one.problems else f"sound, {one.points} points"
        with results():
            sys.stdout.write("\n".join([f"{one.name}: {state}", *(f"  {problem}" for problem in one.problems)]) + "\n")


def write_verified(verified: Verified, *, as_json: bool) -> None:
    """What `ingest verify` found, on stdout."""
    if as_json:
        sys.stdout.write(json.dumps(asdict(verified)) + "\n")
        return
    lines = [f"{verified.files} files are unchanged since the export"]
    lines += [f"{space}: recall@10 {found:.3f}" for space, found in verified.recall.items()]
    if verified.compared:
        lines.append(f"{verified.compared} answers compared, {len(verified.differences)} differences")
        lines += [f"{space}: {share:.3f} of the collection's hits" for space, share in verified.agreement.items()]
    sys.stdout.write("\n".join([*lines, *verified.differences]) + "\n")


def note_backup(backup: Backup, target: Path) -> None:
    """What was kept, and how much it is."""
    size = sum(file["bytes"] for file in backup.files.values())
    note(f"{backup.name}: {backup.points} points in {target / backup.name}, {in_mb(size)}")


def note_restored(backup: Backup, where: str) -> None:
    """What is there again."""
    note(f"{backup.name}: {backup.points} points in {where}, as of {backup.created}")


def note_export(manifest: Manifest, target: Path) -> None:
    """What was exported, and how good the indexes are."""
    size = sum(file["bytes"] for file in manifest.files.values())
    note(f"{manifest.collection}: {manifest.indexes[VISUAL].items} pictures in {target}, {in_mb(size)}")
    for name, space in manifest.indexes.items():
        note(
            f"{name}: {space.items} vectors, {space.trees} trees, search_k {space.search_k}, "
            f"recall@10 {space.recall:.3f} on {space.sample} of them"
        )
