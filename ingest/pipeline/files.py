"""`ingest run FILE...`: single files into the collections whose folders they lie in, and nothing else is looked at.

It must not know how a folder is looked through.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ingest.collection import Options
from ingest.pipeline.report import Report
from ingest.pipeline.run import open_run, read_files
from ingest.stores import Store
from model.errors import DatasetError
from model.pictures import Exclusions, PictureFile, is_picture_file, picture_file
from model.system.names import shown
from model.system.paths import absolute, real_path


def run_files(store: Store, paths: Sequence[Path], name: str, options: Options) -> list[Report]:
    """Bring pictures up to date, each in the collection of the innermost folder around it.

    Args:
        name: the collection's, where several may be meant.

    Raises:
        DatasetError: a file is not there, is no picture, is left out of its dataset, or lies in none; nothing was
            changed.
        StoreError, WeightsError, CacheError: as their names say.
    """
    roots = {found: metadata.root for found, metadata in store.collections().items() if name in ("", found)}
    if name and not roots:
        raise store.not_found(name)
    files: dict[str, list[PictureFile]] = {}
    for path in paths:
        collection, file = _placed(real_path(absolute(path).parent) / path.name, roots)
        _check(file, options)
        files.setdefault(collection, []).append(file)
    reports = []
    for collection, chosen in files.items():
        report = Report(collection)
        with open_run(store, Path(roots[collection]), options, report) as run:
            read_files(run, chosen)
        reports.append(report)
        if report.interrupted:
            break
    return reports


def _placed(path: Path, roots: dict[str, str]) -> tuple[str, PictureFile]:
    around = [name for name, root in roots.items() if path.is_relative_to(root)]
    if not around:
        folder = shown(str(path.parent))
        raise DatasetError(f"no collection holds the folder of {shown(str(path))}: `ingest run {folder}` makes one")
    name = max(around, key=lambda found: (len(roots[found]), found))
    root = Path(roots[name])
    file = picture_file(root, path.relative_to(root).as_posix())
    if file is None:
        raise DatasetError(f"no file {shown(str(path))}: `ingest run {shown(str(root))}` takes notice of what is gone")
    return name, file


def _check(file: PictureFile, options: Options) -> None:
    """Raises DatasetError where a run over its folder would not take a file, and so would remove it again."""
    if not is_picture_file(file.path):
        raise DatasetError(f"{shown(str(file.path))} is no picture by its name or its first bytes")
    rules = Exclusions(options.exclude)
    rules.read_above(file.root, file.relative)
    is_hidden = any(part.startswith(".") for part in file.relative.split("/"))
    if is_hidden or rules.leaves_out(file.relative):
        why = "it is hidden" if is_hidden else "a pattern says so, or its folder is junk"
        raise DatasetError(f"{shown(file.relative)} is left out of {shown(str(file.root))}: {why}")
