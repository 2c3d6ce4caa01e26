"""Scans a dataset, embeds it, and keeps the collections."""
