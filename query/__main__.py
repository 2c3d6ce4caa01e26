"""`query`, also as `python -m query`."""

from model.entry import enter


def main() -> None:
    """Entry point of the console script."""
    enter("query.cli")


if __name__ == "__main__":
    main()
