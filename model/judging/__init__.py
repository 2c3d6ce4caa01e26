"""Evaluating projections: the figures, their table, the report with its charts and examples.

Only the command line imports it."""

from model.judging.evaluator import BUILT_KINDS, EvaluationSettings, evaluate
from model.judging.report import check_target, write_report
from model.judging.table import write_figures

__all__ = ["BUILT_KINDS", "EvaluationSettings", "check_target", "evaluate", "write_figures", "write_report"]
