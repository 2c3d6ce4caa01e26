"""Collections of points behind one interface, and which store a command talks to.

The stores themselves (`embedded`, `server`, `snapshot`) are rooms of their own, imported only where one is opened,
and never import each other."""

from ingest.stores.base import SCROLL_PAGE, TIE_MARGIN, Begin, Collection, ReadOnlyCollection, batches
from ingest.stores.child_process import run_in_child_process
from ingest.stores.connect import choose_collection, none_yet, open_store
from ingest.stores.hnsw import (
    BUILD_WIDTH,
    GRAPH_FROM,
    LINKS,
    OVERSAMPLED,
    SEARCH_WIDTH,
    is_for_graph,
    search_width,
    wants_codes,
    wants_graph,
)
from ingest.stores.layout import Health, Layout
from ingest.stores.names import check_length, check_name, collection_name
from ingest.stores.points import (
    CLASSES,
    SCORE_DIGITS,
    SEMANTIC,
    VISUAL,
    WORD,
    Filter,
    Hit,
    Near,
    Point,
    SparseVector,
    Vector,
    is_unit,
    words_of,
)
from ingest.stores.pooled import PooledStore
from ingest.stores.store import Store, Summary

__all__ = [
    "BUILD_WIDTH",
    "CLASSES",
    "GRAPH_FROM",
    "LINKS",
    "OVERSAMPLED",
    "SCORE_DIGITS",
    "SCROLL_PAGE",
    "SEARCH_WIDTH",
    "SEMANTIC",
    "TIE_MARGIN",
    "VISUAL",
    "WORD",
    "Begin",
    "Collection",
    "Filter",
    "Health",
    "Hit",
    "Layout",
    "Near",
    "Point",
    "PooledStore",
    "ReadOnlyCollection",
    "SparseVector",
    "Store",
    "Summary",
    "Vector",
    "batches",
    "check_length",
    "check_name",
    "choose_collection",
    "collection_name",
    "is_for_graph",
    "is_unit",
    "none_yet",
    "open_store",
    "run_in_child_process",
    "search_width",
    "wants_codes",
    "wants_graph",
    "words_of",
]
