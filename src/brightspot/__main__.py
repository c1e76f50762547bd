"""``python -m brightspot``: the same as the command ``brightspot``."""

from brightspot.cli import main

if __name__ == "__main__":
    main()
