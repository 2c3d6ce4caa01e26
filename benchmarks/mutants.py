"""Mutation testing: is each small change of the code that answers depend on noticed by a test?

    python benchmarks/mutants.py [EACH] [SEED] [FILE...]

For each subject, or for those whose FILE is named, EACH mutants (30 unless said otherwise) are drawn at random, made
one at a time by cosmic-ray in a copy of the tree, and the subject's own tests run against each. Prints how many were
noticed, and every survivor as a patch: a survivor is a test that is missing, or a change that means the same.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "build", "*.egg-info", ".*_cache", "__pycache__")
TIMEOUT_SECONDS = 300.0

IGNORED = (
    "core/NumberReplacer",  # of tuned constants: a neighbour of 0.3 is as good, and tests do not hold them
    "core/RemoveDecorator",  # of dataclasses and cached properties
    "core/ReplaceBinaryOperator_BitOr",  # of types in annotations, which are not evaluated
    "core/Variable",  # they want to be told which
)
"""Beginnings of operators whose mutants mostly mean the same."""

CRUDE = ("BitOr", "BitAnd", "BitXor", "LShift", "RShift", "Mod", "Invert")
"""Endings of operators whose mutants nearly any test notices, since floats have no such operation."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A file, and the tests that should notice what is done to it; folders and files below the root."""

    file: str
    tests: tuple[str, ...]


CLASS_SPACE = "tests/model/test_class_space.py"
CLASS_QUERY = "tests/query/test_class_query.py"
TRUST = "tests/model/test_trust.py"
CHANGES = "tests/ingest/test_changes.py"

SUBJECTS = (
    Subject("model/projections/conse.py", ("tests/model/test_projection.py",)),
    Subject("model/projections/best.py", ("tests/model/test_projection.py", TRUST)),
    Subject("model/projections/training/trust.py", (TRUST,)),
    Subject("model/projections/training/held_back.py", ("tests/model/test_splitting.py",)),
    Subject("model/class_space/labels.py", (TRUST,)),
    Subject("model/class_space/evidence.py", (TRUST, CLASS_SPACE)),
    Subject("model/class_space/question.py", (CLASS_SPACE,)),
    Subject("model/pictures/framing.py", ("tests/model/test_framing.py",)),
    Subject("model/pictures/orientation.py", ("tests/model/test_orientation.py",)),
    Subject("model/pictures/sameness.py", ("tests/model/test_sameness.py",)),
    Subject("query/asking/expression.py", ("tests/query/test_expression.py",)),
    Subject("query/asking/phrasing.py", ("tests/query/test_phrasing.py",)),
    Subject("query/asking/names.py", ("tests/query/test_names.py",)),
    Subject("query/asking/named.py", ("tests/query/test_named.py",)),
    Subject("query/asking/order.py", ("tests/query/test_named.py", "tests/query/test_cutoff.py")),
    Subject(
        "query/asking/ranking.py",
        ("tests/query/test_ranking.py", "tests/query/test_cutoff.py", CLASS_QUERY),
    ),
    Subject("query/asking/class_query.py", (CLASS_QUERY,)),
    Subject("query/asking/cutoff.py", ("tests/query/test_cutoff.py", CLASS_QUERY)),
    Subject("query/asking/duplicates.py", ("tests/query/test_duplicates.py",)),
    Subject("ingest/collection/ledger.py", (CHANGES, "tests/ingest/running/test_ledger.py")),
    Subject("ingest/collection/evidence.py", ("tests/ingest/test_evidence.py",)),
    Subject("ingest/pipeline/changes.py", (CHANGES,)),
    Subject("ingest/pipeline/checking.py", ("tests/ingest/test_checking.py",)),
    Subject("ingest/pipeline/vanished.py", (CHANGES,)),
    Subject("ingest/records/picture.py", ("tests/ingest/test_records.py", "tests/ingest/test_checking.py")),
    Subject("ingest/stores/base.py", ("tests/ingest/test_store_congruence.py",)),
    Subject("ingest/stores/embedded/seal.py", ("tests/ingest/test_seal.py",)),
    Subject("ingest/stores/server/lease.py", ("tests/ingest/test_lease.py",)),
    Subject("ingest/stores/snapshot/verification.py", ("tests/ingest/test_verify.py",)),
    Subject("query/web/security.py", ("tests/query/test_guard.py",)),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a subject's mutants. ``survivors``: patches."""

    noticed: int
    survivors: list[str]


def main(each: int, seed: int, *wanted: str) -> int:
    noticed = made = 0
    with tempfile.TemporaryDirectory() as place:
        tree = Path(place) / "tree"
        shutil.copytree(ROOT, tree, ignore=LEFT_OUT)
        for subject in SUBJECTS:
            if wanted and subject.file not in wanted:
                continue
            outcome = examine(subject, tree, each, seed)
            total = outcome.noticed + len(outcome.survivors)
            print(f"{subject.file}: {outcome.noticed} of {total} noticed", flush=True)
            for patch in outcome.survivors:
                print(patch, flush=True)
            noticed, made = noticed + outcome.noticed, made + total
    print(f"in all {noticed} of {made} noticed")
    return 0 if noticed == made else 1


def examine(subject: Subject, tree: Path, each: int, seed: int) -> Outcome:
    """Make the mutants of one file, and run its tests against each."""
    config, session = tree / "mutants.toml", tree / f"{subject.file.replace('/', '-')}.sqlite"
    config.write_text(configuration(subject, tree))
    run("init", config, session, tree=tree)
    keep(session, (tree / subject.file).read_text().splitlines(), each, seed)
    run("exec", config, session, tree=tree)
    dumped = run("dump", session, tree=tree)
    rows = [json.loads(line) for line in dumped.splitlines()]
    tried = [result for _, result in rows if result and result["worker_outcome"] == "normal"]
    survivors = [result["diff"] for result in tried if result["test_outcome"] == "survived"]
    return Outcome(len(tried) - len(survivors), survivors)


def configuration(subject: Subject, tree: Path) -> str:
    if missing := [name for name in (subject.file, *subject.tests) if not (tree / name).exists()]:
        raise SystemExit(f"there is no {', '.join(missing)}: SUBJECTS in benchmarks/mutants.py names it")
    tests = " ".join(subject.tests)
    command = f"{sys.executable} -m pytest -x -q -n0 -p no:cacheprovider {tests}"
    return (
        "[cosmic-ray]\n"
        f'module-path = "{subject.file}"\n'
        f"timeout = {TIMEOUT_SECONDS}\n"
        "excluded-modules = []\n"
        f'test-command = "{command}"\n'
        '[cosmic-ray.distributor]\nname = "local"\n'
    )


def keep(session: Path, lines: Sequence[str], each: int, seed: int) -> None:
    """Leave ``each`` mutants to be tried, one a place, drawn from those whose operators say something.

    Args:
        lines: of the subject. What is in a decorator, such as ``slots=True``, is left alone.
    """
    from cosmic_ray.work_db import use_db
    from cosmic_ray.work_item import WorkerOutcome, WorkResult

    chance = random.Random(seed)
    with use_db(str(session)) as work:
        items = sorted(work.work_items, key=lambda item: (item.mutations[0].start_pos, item.mutations[0].operator_name))
        places: dict[object, list[str]] = {}
        for item in items:
            place, operator = item.mutations[0].start_pos, item.mutations[0].operator_name
            is_decorator = lines[place[0] - 1].startswith("@")
            if not (is_decorator or operator.startswith(IGNORED) or operator.endswith(CRUDE)):
                places.setdefault(place, []).append(item.job_id)
        telling = [chance.choice(jobs) for jobs in places.values()]
        drawn = set(chance.sample(telling, min(each, len(telling))))
        skipped = WorkResult(worker_outcome=WorkerOutcome.SKIPPED)
        work.set_multiple_results([item.job_id for item in items if item.job_id not in drawn], skipped)


def run(command: str, *arguments: Path, tree: Path) -> str:
    tool = Path(sys.executable).parent / "cosmic-ray"
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    done = subprocess.run(
        [tool, command, *arguments], cwd=tree, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


if __name__ == "__main__":
    each, seed, *wanted = [*sys.argv[1:], *["30", "0"][len(sys.argv) - 1 :]]
    sys.exit(main(int(each), int(seed), *wanted))
