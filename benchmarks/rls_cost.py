"""`make rls-cost`: what row-level security costs at 10,000 creators and 10 million documents.

The hub's own statements, for random creators, in pairs: as `hub_app`, to whom the policies apply, and as the owner of
the tables, for whom they have been taken off. Same rows, same indexes, same message; which of a pair goes first is
drawn. Prints the ratio of the 95th percentiles, the median over the rounds.
"""

import argparse
import subprocess
import sys

from benchmarks.stage import SERVER_CORE, hold_to, stage
from shared.config.env_constants import PROJECT_ROOT


def main() -> None:
    """Make the rows, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--creators", type=int, default=10_000)
    parser.add_argument("--documents", type=int, default=1_000, help="of each creator")
    parser.add_argument("--pairs", type=int, default=3_000, help="of each statement in a round")
    parser.add_argument("--rounds", type=int, default=5)
    wanted = parser.parse_args()
    with stage(creators=1, documents=1) as ground:
        hold_to(SERVER_CORE)  # Postgres has the other one
        numbers = [wanted.creators, wanted.documents, wanted.pairs, wanted.rounds]
        command = [sys.executable, "-m", "benchmarks.rls_statements", ground.owner_url, *map(str, numbers)]
        done = subprocess.run(command, cwd=PROJECT_ROOT, env=ground.environment, check=False)
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
