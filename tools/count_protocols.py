"""Count every protocol's model anew and write the table that `mimbench protocols` reads.

python tools/count_protocols.py           what has changed
python tools/count_protocols.py --all     everything, minutes on one core
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from downstream.costs.table import COUNTS, counted, digest, key
from downstream.evaluation.protocols import recipes


def main() -> None:
    before = json.loads(COUNTS.read_text()) if COUNTS.is_file() else {}
    rows = {}
    for recipe in recipes().values():
        for arch in recipe.sizes or ('',):
            name = key(recipe, arch)
            row = before.get(name, {})
            if '--all' in sys.argv or row.get('digest') != digest(recipe.path):
                row = counted(recipe, arch)
                size = f'{row["parameters"] / 1e6:.1f} M, {row["macs"] / 1e9:.1f} G'
                print(f'{name}: {size}', flush=True)
            rows[name] = row
    COUNTS.write_text(json.dumps(rows, indent=1) + '\n')


if __name__ == '__main__':
    main()
