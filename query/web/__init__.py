"""The web page and the HTTP API: what `query serve` runs."""
