"""`ingest`, also as `python -m ingest`."""

from model.entry import enter


def main() -> None:
    """Entry point of the console script."""
    enter("ingest.cli")


if __name__ == "__main__":
    main()
