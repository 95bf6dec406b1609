"""What the rank of a golden question is, and when it has become worse. Said here and nowhere else."""

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


def model_label(name: str) -> str:
    """An embedder's name as creators may read it: without addresses."""
    return " ".join(part for part in name.split() if "://" not in part)[:200]
