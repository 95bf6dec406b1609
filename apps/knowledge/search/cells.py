"""Cells: regions of a creator's vectors, so that a search need not look at all of them.

Below `EXACT_ROWS` there are none. Above, the vectors are sorted by the nearest of about twice as many centres as the
square root of their number, found by k-means on a sample, and a search looks at those in the nearest cells. While cells
are made anew every vector is looked at, so nothing is missed for want of order. New cells have higher numbers than any
before them, which tells the vectors that are not sorted yet.
"""

import math
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import numpy as np
from django.db import connection
from django.db.models import Max, Sum
from numpy.typing import NDArray
from pgvector import HalfVector

from apps.knowledge.models import Cell, SearchIndex, Vector, Version
from apps.knowledge.search.finder import EXACT_ROWS
from shared.tenancy.scope import require_creator

# Vectors that are looked at for each centre, and how often the centres move.
_SAMPLE, _ROUNDS = 40, 8
# So many at a time: what is near what takes a number for each vector and centre.
_COMPARED_AT_ONCE = 8192
# Cells are made anew when there are so many times as many passages as when they were made.
_GROWN = 2
_SORTED_AT_ONCE = 2000
_BEFORE_ALL = UUID(int=0)

type Matrix = NDArray[np.float32]

# Spread over all of them: passages that came together are alike.
_SAMPLED = """
SELECT halfvec_send(embedding) FROM knowledge_vector
 WHERE creator_id = %(creator)s AND model = %(model)s AND live AND NOT hidden
 ORDER BY hashtextextended(id::text, 0) LIMIT %(size)s
"""
_CENTRES = """
SELECT number, halfvec_send(centre) FROM knowledge_cell
 WHERE creator_id = %(creator)s AND model = %(model)s ORDER BY number
"""
_HOMELESS = """
SELECT id, halfvec_send(embedding) FROM knowledge_vector
 WHERE creator_id = %(creator)s AND model = %(model)s AND cell < %(first)s AND id > %(after)s
 ORDER BY id LIMIT %(count)s
"""
# Sorting waits for nobody: whoever switches or hides many vectors meanwhile locks them in another order. What is
# skipped is sorted with the last ones; until then its number is below all that there are, and searches look at it.
_MOVE = """
UPDATE knowledge_vector SET cell = %(cell)s
 WHERE creator_id = %(creator)s
   AND id = ANY(ARRAY(SELECT id FROM knowledge_vector
                       WHERE creator_id = %(creator)s AND id = ANY(%(ids)s) AND cell < %(first)s
                         FOR UPDATE SKIP LOCKED))
"""
_SORT = """
UPDATE knowledge_vector x
   SET cell = (SELECT e.number FROM knowledge_cell e
                WHERE e.creator_id = %(creator)s AND e.model = %(model)s
                ORDER BY e.centre <#> x.embedding LIMIT 1)
 WHERE x.creator_id = %(creator)s
   AND x.id = ANY(ARRAY(SELECT id FROM knowledge_vector
                         WHERE creator_id = %(creator)s AND model = %(model)s AND cell < %(first)s
                         LIMIT %(count)s FOR UPDATE SKIP LOCKED))
"""
# Counted once, whatever Postgres thinks of cells that it has no statistics of yet.
_COUNT = """
WITH n AS MATERIALIZED (
    SELECT cell, count(*) AS size FROM knowledge_vector
     WHERE creator_id = %(creator)s AND model = %(model)s AND live AND NOT hidden GROUP BY cell)
UPDATE knowledge_cell c SET size = coalesce((SELECT n.size FROM n WHERE n.cell = c.number), 0)
 WHERE c.creator_id = %(creator)s AND c.model = %(model)s
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """Some vectors, of length 1, and how many passages answer in all."""

    vectors: Matrix
    rows: int


def answering_passages() -> int:
    """How many passages searches look at."""
    return Version.objects.filter(live=True).aggregate(passages=Sum("indexed_passages"))["passages"] or 0


def cells_are_due(index: SearchIndex, *, model: UUID) -> bool:
    """Whether there are too many vectors to look at, and no cells, or cells that were made when there were few."""
    rows = answering_passages()
    return rows > EXACT_ROWS and (index.cell_model != model or rows >= index.cell_rows * _GROWN)


def read_sample(*, model: UUID, rows: int) -> Sample:
    """Vectors to find centres in."""
    with connection.cursor() as cursor:
        values = {"creator": require_creator(), "model": model, "size": _centres(rows) * _SAMPLE}
        cursor.execute(_SAMPLED, values)
        return Sample(_matrix([data for (data,) in cursor.fetchall()]), rows)


def find_centres(sample: Sample) -> Matrix:
    """The middle of each region, of length 1: spherical k-means (Dhillon & Modha 2001). Seconds of work, for a thread.

    One sample gives the same centres each time.
    """
    count = min(_centres(sample.rows), len(sample.vectors))
    generator = np.random.default_rng(0)
    centres = sample.vectors[generator.choice(len(sample.vectors), size=count, replace=False)]
    for _ in range(_ROUNDS):
        nearest = _nearest(sample.vectors, centres)
        order = np.argsort(nearest, kind="stable")
        inhabited, starts = np.unique(nearest[order], return_index=True)
        sums = np.add.reduceat(sample.vectors[order], starts, axis=0)
        # A centre that nothing is nearest to starts over somewhere else.
        centres = sample.vectors[generator.choice(len(sample.vectors), size=count, replace=False)]
        centres[inhabited] = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)
    return centres


def begin_cells(index: SearchIndex, *, model: UUID, centres: Matrix) -> None:
    """Put new centres in place of the old ones. Until `finish_cells`, searches look at every vector."""
    index.cell_model = None
    index.save(update_fields=["cell_model"])
    last = Vector.objects.aggregate(last=Max("cell"))["last"] or 0
    first = max(last, Cell.objects.aggregate(last=Max("number"))["last"] or 0) + 1
    Cell.objects.all().delete()
    Cell.objects.bulk_create(
        Cell(model=model, number=number, size=0, centre=HalfVector(centre))
        for number, centre in enumerate(centres, start=first)
    )


@dataclass(slots=True)
class Sorting:
    """Goes over all vectors of a model that are in no cell yet, a few thousand at a time.

    First it finds out where each belongs, then it moves them there, a cell at a time: what a search reads together lies
    together in the table. In the order in which they came, each would lie in a page of its own: at 200,000 vectors a
    search took twice as long.
    """

    model: UUID
    after: UUID = _BEFORE_ALL
    numbers: list[int] = field(default_factory=list)
    centres: Matrix | None = None
    found: list[tuple[int, UUID]] = field(default_factory=list)
    moving: bool = False

    def step(self) -> bool:
        """The next ones; returns whether there are more."""
        values = {**_values(self.model), "after": self.after}
        with connection.cursor() as cursor:
            if self.centres is None:
                cursor.execute(_CENTRES, values)
                rows = cursor.fetchall()
                self.numbers, self.centres = [number for number, _ in rows], _matrix([data for _, data in rows])
            if not self.moving:
                cursor.execute(_HOMELESS, values)
                rows = cursor.fetchall()
                if rows:
                    nearest = _nearest(_matrix([data for _, data in rows]), self.centres).tolist()
                    self.found += [(self.numbers[one], row[0]) for one, row in zip(nearest, rows, strict=True)]
                    self.after = rows[-1][0]
                    return True
                self.found.sort(reverse=True)  # they are taken from the end
                self.moving = True
            cell, ids = self._next_cell()
            cursor.execute(_MOVE, {**values, "ids": ids, "cell": cell})
        return bool(self.found)

    def _next_cell(self) -> tuple[int, list[UUID]]:
        cell, ids = self.found[-1][0], []
        while self.found and self.found[-1][0] == cell and len(ids) < _SORTED_AT_ONCE:
            ids.append(self.found.pop()[1])
        return cell, ids


def sort_into_cells(*, model: UUID) -> int:
    """Sort some of the vectors that are in no cell yet; returns how many these were."""
    with connection.cursor() as cursor:
        cursor.execute(_SORT, _values(model))
        return cursor.rowcount


def finish_cells(index: SearchIndex, *, model: UUID) -> None:
    """Let searches use the cells: every vector is in one. What came meanwhile went to its cell by itself."""
    while sort_into_cells(model=model):
        pass
    count_cells(model=model)
    index.cell_model, index.cell_rows = model, answering_passages()
    index.save(update_fields=["cell_model", "cell_rows"])


def count_cells(*, model: UUID) -> None:
    """Put down how many vectors each cell has now: a search takes as many cells as make up its budget."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, {"creator": require_creator(), "model": model})


def _values(model: UUID) -> dict[str, Any]:
    numbers = Cell.objects.filter(model=model).order_by("number").values_list("number", flat=True)
    return {"creator": require_creator(), "model": model, "first": numbers[0], "count": _SORTED_AT_ONCE}


def _matrix(packed: list[bytes]) -> Matrix:
    """Vectors as `halfvec_send` writes them: how many numbers, two bytes that mean nothing, and the numbers."""
    return np.array([np.frombuffer(data, dtype=">f2", offset=4) for data in packed], dtype=np.float32)


def _nearest(vectors: Matrix, centres: Matrix) -> Any:
    """Which of the centres is nearest to each vector."""
    starts = range(0, len(vectors), _COMPARED_AT_ONCE)
    parts = [vectors[start : start + _COMPARED_AT_ONCE] for start in starts]
    return np.concatenate([np.argmax(part @ centres.T, axis=1) for part in parts])


def _centres(rows: int) -> int:
    return max(1, round(2 * math.sqrt(rows)))
