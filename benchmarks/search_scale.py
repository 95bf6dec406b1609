"""`make search-bench`: search in a library of 200,000 passages, beside a thousand creators with 1,000 each.

As `hub_app`, under the policies, through the hub's own search and its own pool, with vectors that are ready: how long
it takes, which message takes how much of it, alone and eight at once; how many of the nearest vectors are found; and
whether a small creator notices 50,000 near-copies of its passages in another's library. Fails when one does, or when
too few of the nearest are found. How long it takes is only said.
"""

import argparse
import json
import subprocess
import sys

from benchmarks.stage import stage
from shared.config.env_constants import PROJECT_ROOT


def main() -> None:
    """Make the rows, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--creators", type=int, default=1000, help="small ones, of a thousand passages each")
    parser.add_argument("--passages", type=int, default=200_000, help="of the large creator")
    parser.add_argument("--copies", type=int, default=50_000, help="near-copies of a small creator's passages")
    parser.add_argument("--questions", type=int, default=300, help="of each creator, and how often each is asked")
    wanted = parser.parse_args()
    with stage(creators=1, documents=1, held=False) as ground:
        command = [sys.executable, "-m", "benchmarks.search_measuring", ground.owner_url, json.dumps(vars(wanted))]
        done = subprocess.run(command, cwd=PROJECT_ROOT, env=ground.environment, check=False)
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
