"""The page: HTML, CSS and JavaScript as they are sent."""

from pathlib import Path

ASSETS = Path(__file__).parent
