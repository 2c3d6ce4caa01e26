"""Work that goes through a whole collection: bringing it up to date, projecting it anew, carrying it away."""

from ingest.pipeline.exporting import ExportOptions, export_collection, tell_export
from ingest.pipeline.reprojection import reproject
from ingest.pipeline.run import Report, retry_failures, run_folder

__all__ = ["ExportOptions", "Report", "export_collection", "reproject", "retry_failures", "run_folder", "tell_export"]
