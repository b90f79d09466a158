"""``python -m devcluster`` is ``devcluster``."""

from devcluster.cli.main import main

if __name__ == "__main__":
    main()
