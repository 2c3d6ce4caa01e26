"""`model`, also as `python -m model`."""

from model.entry import enter


def main() -> None:
    """Entry point of the console script."""
    enter("model.cli")


if __name__ == "__main__":
    main()
