"""Mutation testing: is each small change of the code that answers depend on noticed by a test?

    python benchmarks/mutants.py [EACH] [SEED]

For each subject, EACH mutants (30 unless said otherwise) are drawn at random, made one at a time by cosmic-ray in a
copy of the tree, and the subject's own tests run against each. Prints how many were noticed, and every survivor as a
patch: a survivor is a test that is missing, or a change that means the same.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "build", "*.egg-info", ".*_cache", "__pycache__")
TIMEOUT_SECONDS = 120.0

IGNORED = (
    "core/NumberReplacer",  # of tuned constants: a neighbour of 0.3 is as good, and tests do not hold them
    "core/RemoveDecorator",  # of dataclasses and cached properties
)
"""Operators whose mutants mostly mean the same."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A file, and the tests that should notice what is done to it; folders and files below the root."""

    file: str
    tests: tuple[str, ...]


SUBJECTS = (
    Subject("model/projections/conse.py", ("tests/model/test_projection.py",)),
    Subject("model/projections/best.py", ("tests/model/test_projection.py", "tests/model/test_training.py")),
    Subject("query/asking/ranking.py", ("tests/query",)),
    Subject("query/asking/cutoff.py", ("tests/query/test_cutoff.py",)),
    Subject("ingest/collection/ledger.py", ("tests/ingest/running/test_run.py", "tests/ingest/running/test_ledger.py")),
    Subject("query/web/security.py", ("tests/query/test_web_security.py",)),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a subject's mutants. ``survivors``: patches."""

    noticed: int
    survivors: list[str]


def main(each: int, seed: int) -> int:
    noticed = made = 0
    with tempfile.TemporaryDirectory() as place:
        tree = Path(place) / "tree"
        shutil.copytree(ROOT, tree, ignore=LEFT_OUT)
        for subject in SUBJECTS:
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
    config, session = tree / "mutants.toml", tree / f"{Path(subject.file).stem}.sqlite"
    config.write_text(configuration(subject, tree))
    run("init", config, session, tree=tree)
    keep(session, each, seed)
    run("exec", config, session, tree=tree)
    dumped = run("dump", session, tree=tree)
    rows = [json.loads(line) for line in dumped.splitlines()]
    tried = [result for _, result in rows if result and result["worker_outcome"] == "normal"]
    survivors = [result["diff"] for result in tried if result["test_outcome"] == "survived"]
    return Outcome(len(tried) - len(survivors), survivors)


def configuration(subject: Subject, tree: Path) -> str:
    tests = " ".join(test for test in subject.tests if (tree / test).exists())
    command = f"{sys.executable} -m pytest -x -q -n0 -p no:cacheprovider {tests}"
    return (
        "[cosmic-ray]\n"
        f'module-path = "{subject.file}"\n'
        f"timeout = {TIMEOUT_SECONDS}\n"
        "excluded-modules = []\n"
        f'test-command = "{command}"\n'
        '[cosmic-ray.distributor]\nname = "local"\n'
    )


def keep(session: Path, each: int, seed: int) -> None:
    """Leave ``each`` mutants to be tried, drawn from those whose operators say something."""
    from cosmic_ray.work_db import use_db
    from cosmic_ray.work_item import WorkerOutcome, WorkResult

    with use_db(str(session)) as work:
        items = sorted(work.work_items, key=lambda item: item.job_id)
        telling = sorted(item.job_id for item in items if item.mutations[0].operator_name not in IGNORED)
        places = {item.job_id: (item.mutations[0].start_pos, item.mutations[0].operator_name) for item in items}
        telling.sort(key=lambda job: places[job])
        drawn = set(random.Random(seed).sample(telling, min(each, len(telling))))
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
    sys.exit(main(*(int(argument) for argument in [*sys.argv[1:], "30", "0"][:2])))
