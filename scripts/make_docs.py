"""Write the generated pages of docs/: parameters, samplers, command line. ``--check`` only compares.

Each page is made from the one declaration that the program itself reads, so that it cannot go out of date; a test
runs this with ``--check``.
"""

import sys
from pathlib import Path

from webui import samplers
from webui.cli import option_tables
from webui.recipe import PARAMS

DOCS = Path(__file__).resolve().parent.parent / "docs"
NOTE = "<!-- Written by scripts/make_docs.py: change the declarations, not this page. -->\n"


def parameters() -> str:
    """Return the page of the recipe's parameters."""
    rows = ["| name | label and infotext key | default | must be | what it does |", "|---|---|---|---|---|"]
    for name, param in PARAMS.items():
        default = "drawn" if param.required else f"`{param.format(param.default) or '(empty)'}`"
        rows.append(f"| `{name}` | {param.label} | {default} | {param.rule} | {param.help} |")
    intro = (
        "Everything that makes a picture is in its recipe, and nothing else changes a pixel. These are its parameters. "
        "A model may suggest other defaults for size, steps, sampler and CFG scale; the form shows them.\n"
    )
    return "\n".join([NOTE, "# Parameters\n", intro, *rows, ""])


def sampler_table() -> str:
    """Return the page of samplers and schedules."""
    rows = ["| sampler | also read as | Automatic means | model calls a step | noise between steps | obeys | note |",
            "|---|---|---|---|---|---|---|"]  # fmt: skip
    for row in samplers.SAMPLERS:
        aliases = ", ".join(f"`{alias}`" for alias in row.aliases)
        noise = "yes" if row.stochastic else "no"
        obeys = ", ".join(PARAMS[name].label for name in samplers.options(row.name))
        rows.append(f"| {row.name} | {aliases} | {row.schedule} | {row.evaluations} | {noise} | {obeys} | {row.note} |")
    more = ["", "| schedule type | also read as | note |", "|---|---|---|"]
    for kind in samplers.SCHEDULES:
        more.append(f"| {kind.name} | {', '.join(f'`{alias}`' for alias in kind.aliases)} | {kind.note} |")
    intro = (
        "A sampler is the algorithm, a schedule the spacing of its steps. With a sampler that adds noise between the "
        "steps, another number of steps is another composition: to keep one while you change the steps, take a sampler "
        "without. Where A1111, Forge and ComfyUI differ is in [compatibility](compatibility.md).\n"
    )
    return "\n".join([NOTE, "# Samplers and schedule types\n", intro, *rows, *more, ""])


def command_line() -> str:
    """Return the page of the command line's options."""
    parts = [
        NOTE,
        "# Command line\n",
        "`webui` alone is `webui serve`; `webui --version` says the version; `webui COMMAND --help` explains.\n",
    ]
    for title, rows in option_tables().items():
        cells = [f"| `{flags.replace('|', chr(92) + '|')}` | {explained} |" for flags, explained in rows]
        parts += [f"## `{title}`\n", "| option | what it does |", "|---|---|", *cells, ""]
    parts.append(
        "Exit status: 0 done, 1 a picture could not be made, differs or has a problem, 2 bad input (one sentence on "
        "standard error), 3 `reproduce` in another environment, 10 `verify` found no picture, 130 interrupted.\n"
    )
    return "\n".join(parts)


PAGES = {"parameters.md": parameters, "samplers.md": sampler_table, "cli.md": command_line}


def main() -> int:
    """Write the pages, or with ``--check`` name those that are out of date."""
    stale = []
    for name, page in PAGES.items():
        path, text = DOCS / name, page()
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if "--check" not in sys.argv:
                path.write_text(text, encoding="utf-8")
    print(f"{'out of date' if '--check' in sys.argv else 'written'}: {', '.join(stale) or 'nothing'}")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    raise SystemExit(main())
