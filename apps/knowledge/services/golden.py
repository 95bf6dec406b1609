"""Asking for a run of the golden questions: whatever may change what searches find calls `note_change`.

Whoever asks shares a lock until its transaction ends; a run that begins or ends has it alone. So a run sees every
change that it was asked for, and a change that comes while it is being done asks for the next one. Many changes in a
row ask for one run: those that find one waiting leave it at that.

Locks are taken in this order: document, golden questions in the order of their ids, the lock of the runs, a run.
"""

from datetime import timedelta

from django.db import connection
from django.utils import timezone

from apps.knowledge.models import Document, GoldenQuestion, GoldenRun
from apps.knowledge.services.versions import next_turn
from shared.config.env_constants import get_env_value
from shared.tenancy.actor import Actor
from shared.tenancy.names import lock_key
from shared.tenancy.run import announce
from shared.tenancy.scope import require_creator

UNFINISHED = (GoldenRun.State.QUEUED, GoldenRun.State.RUNNING)

_SHARE = """
SELECT pg_advisory_xact_lock_shared(%(lock)s);
SELECT EXISTS (SELECT 1 FROM knowledge_goldenquestion WHERE creator_id = %(creator)s)
"""


def note_change(actor: Actor, document: Document, reason: str) -> None:
    """Have the golden questions run, since a document has changed. Costs two short statements where there are none."""
    for question in _expecting(document):
        question.document_title = document.title
        question.save(update_fields=["document_title"])
    ask_for_run(actor, reason)


def note_deletion(document: Document) -> None:
    """Let what expects a document that is about to be deleted stay, and say that it is gone.

    Ask for a run when it is deleted: that may take long, and others who ask would wait for it.
    """
    for question in _expecting(document):
        question.lose_document(document.title)
        question.save()


def _expecting(document: Document) -> list[GoldenQuestion]:
    return list(GoldenQuestion.objects.select_for_update().filter(document=document).order_by("id"))


def ask_for_run(actor: Actor, reason: str) -> GoldenRun | None:
    """The run that will try the golden questions, queued unless one waits already; None where there are no questions.

    It waits until GOLDEN_DELAY_SECONDS have passed, and for its creator's turn among all work; and for the end of the
    run that is being done.
    """
    with connection.cursor() as cursor:
        cursor.execute(_SHARE, {"lock": _lock(), "creator": require_creator()})
        cursor.set_result(-1)
        (any_question,) = cursor.fetchone()
    if not any_question:
        return None
    unfinished = {run.state: run for run in GoldenRun.objects.filter(state__in=UNFINISHED, trial=False)}
    waiting: GoldenRun | None = unfinished.get(GoldenRun.State.QUEUED)
    if waiting is None:
        new = GoldenRun(state=GoldenRun.State.QUEUED, reasons=[reason])
        # Somebody else may have queued one since: then this waits for their commit, and does nothing.
        GoldenRun.objects.bulk_create([new], ignore_conflicts=True)
        waiting = GoldenRun.objects.get(state=GoldenRun.State.QUEUED, trial=False)
        if waiting.id == new.id:
            if not unfinished:  # else the end of the one that is being done queues it
                at_once = reason == GoldenRun.Reason.ASKED_FOR
                queue_run(actor, waiting, seconds=0 if at_once else delay_seconds())
            announce_run(waiting)
            return waiting
    if reason not in waiting.reasons:
        waiting = GoldenRun.objects.lock(waiting.id)
        waiting.reasons = [*dict.fromkeys([*waiting.reasons, reason])]
        waiting.save(update_fields=["reasons"])
    return waiting


def queue_run(actor: Actor, run: GoldenRun, *, seconds: int = 0) -> None:
    """Queue a run behind all that its creator has queued already, not before so many seconds have passed."""
    # Here, because the task calls services of this package.
    from apps.knowledge.tasks import run_golden_questions

    at = timezone.now() + timedelta(seconds=seconds) if seconds else None
    run.job = run_golden_questions.defer(actor, priority=-next_turn(), schedule_at=at, run_id=str(run.id))
    run.save(update_fields=["job"])


def delay_seconds() -> int:
    """How long a run waits for changes that follow."""
    return int(get_env_value("GOLDEN_DELAY_SECONDS", fallback=True))


def be_alone() -> None:
    """Wait for those who are asking for a run, and let nobody ask until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_lock()])


def _lock() -> int:
    return lock_key("golden runs")


def announce_run(run: GoldenRun) -> None:
    """Tell the creator's open pages how a run stands, once the transaction has committed."""
    announce(
        "golden.trial_changed" if run.trial else "golden.run_changed",
        run.id,
        state=str(run.state),
        questions=run.questions,
        regressed=run.regressed,
        target_gone=run.target_gone,
    )
