"""What a creator brought, how it was processed, and what search finds. One file for each subject."""

from apps.knowledge.models.arrivals import Import, SkippedEntry, Source
from apps.knowledge.models.asked import Click, Search
from apps.knowledge.models.documents import UNFINISHED, Chunk, Correction, Document, Stage, Status, Version
from apps.knowledge.models.golden import GoldenQuestion, GoldenResult, GoldenRun

__all__ = [
    "UNFINISHED",
    "Chunk",
    "Click",
    "Correction",
    "Document",
    "GoldenQuestion",
    "GoldenResult",
    "GoldenRun",
    "Import",
    "Search",
    "SkippedEntry",
    "Source",
    "Stage",
    "Status",
    "Version",
]
