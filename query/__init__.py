"""Asks the collections, and renders the answers."""
