"""Run the command line: ``python -m webui``."""

from webui.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
