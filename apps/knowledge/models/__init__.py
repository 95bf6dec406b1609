"""What a creator brought, how it was processed, and what search finds. One file for each subject."""

from apps.knowledge.models.arrivals import Import, SkippedEntry, Source
from apps.knowledge.models.asked import Click, Search
from apps.knowledge.models.documents import UNFINISHED, Chunk, Correction, Document, Stage, Status, Version
from apps.knowledge.models.finding import LONGEST_WORD, Cell, Posting, SearchIndex, Vector, Word
from apps.knowledge.models.golden import GoldenQuestion, GoldenResult, GoldenRun

__all__ = [
    "LONGEST_WORD",
    "UNFINISHED",
    "Cell",
    "Chunk",
    "Click",
    "Correction",
    "Document",
    "GoldenQuestion",
    "GoldenResult",
    "GoldenRun",
    "Import",
    "Posting",
    "Search",
    "SearchIndex",
    "SkippedEntry",
    "Source",
    "Stage",
    "Status",
    "Vector",
    "Version",
    "Word",
]
