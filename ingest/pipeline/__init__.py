"""Work that goes through a whole collection: bringing it up to date, projecting it anew, carrying it away.

It must not know how a command is typed or what is printed."""

from ingest.pipeline.backup import Backup, back_up, backups_in, restore
from ingest.pipeline.checking import Checked, check_collection, repair
from ingest.pipeline.exporting import ExportOptions, export_collection
from ingest.pipeline.files import run_files
from ingest.pipeline.plan import Plan, plan_run
from ingest.pipeline.report import Report
from ingest.pipeline.reprojection import reproject
from ingest.pipeline.run import retry_failures, run_folder
from ingest.pipeline.stored_vectors import find_stored_vectors

__all__ = [
    "Backup",
    "Checked",
    "ExportOptions",
    "Plan",
    "Report",
    "back_up",
    "backups_in",
    "check_collection",
    "export_collection",
    "find_stored_vectors",
    "plan_run",
    "repair",
    "reproject",
    "restore",
    "retry_failures",
    "run_files",
    "run_folder",
]
