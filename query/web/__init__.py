"""The web page and the HTTP API: what `query serve` runs."""

from pathlib import Path

ASSETS = Path(__file__).parent / "assets"
"""The page's files."""
