"""The command line's entry. Owns the map from commands to code, and from errors to exit codes; no logic lives here."""

from __future__ import annotations

import sys
from pathlib import Path

from flowrun.production.options import Options, Surroundings
from flowrun.production.production import Production


def entry() -> None:
    production = Production(Path(sys.argv[1]), Options(sandbox=True), Surroundings())
    done = production.apply(emit=lambda event: print(event))
    print(done)
    sys.exit(int(done.exit))
