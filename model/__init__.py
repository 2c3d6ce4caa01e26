"""Pictures and words become vectors. This layer knows nothing of any index."""

__version__ = "0.1.0"
