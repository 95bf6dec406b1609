"""What the rank of a golden question is, and when it has become worse. Said here and nowhere else."""

from enum import StrEnum

# A rank is the place, counted from 1, of the first result that is what the question expects, among so many results of
# an ordinary search over everything the creator has. Where a document is expected, each document counts once. None:
# it is not among them.
RESULTS = 50
# Whoever asks reads these; what comes after them is hardly looked at.
FIRST = 3


def is_regression(before: int | None, now: int | None) -> bool:
    """Whether what was found is found no more, or what stood among the first three has left them."""
    if before is None:
        return False
    return now is None or before <= FIRST < now


class Change(StrEnum):
    """How the rank of a question would change under another model, the worst first."""

    LOST = "lost"
    WORSE = "worse"
    BETTER = "better"
    SAME = "same"


def change_of(now: int | None, then: int | None) -> Change:
    """What becomes of a rank. Unlike a regression, every place counts."""
    if now == then:
        return Change.SAME
    if then is None:
        return Change.LOST
    return Change.BETTER if now is None or then < now else Change.WORSE


def model_label(name: str) -> str:
    """An embedder's name as creators may read it: without addresses."""
    return " ".join(part for part in name.split() if "://" not in part)[:200]
