"""The addresses of a creator's documents, of search and of golden questions."""

from django.urls import path

from apps.knowledge.pages import asked, document, golden, listing, models, passages, searching, uploads

app_name = "knowledge"

urlpatterns = [
    path("documents", uploads.documents, name="documents"),
    path("documents/from-address", uploads.from_address, name="from_address"),
    path("documents/imports/<uuid:import_id>", listing.import_row, name="import_row"),
    path("documents/<uuid:document_id>", document.document, name="document"),
    path("documents/<uuid:document_id>/row", listing.row, name="row"),
    path("documents/<uuid:document_id>/content", document.content, name="content"),
    path("documents/<uuid:document_id>/delete", document.delete, name="delete"),
    path("documents/<uuid:document_id>/process-again", document.process_again, name="process_again"),
    path("documents/<uuid:document_id>/cancel", document.cancel, name="cancel"),
    path("documents/<uuid:document_id>/versions", document.new_version, name="new_version"),
    path("documents/<uuid:document_id>/versions/<int:number>/restore", document.restore, name="restore"),
    path("documents/<uuid:document_id>/passages", passages.passages, name="passages"),
    path("documents/<uuid:document_id>/passages/<uuid:passage_id>", passages.change, name="passage"),
    path("golden-questions", golden.questions, name="golden_questions"),
    path("golden-questions/run", golden.run, name="run_golden_questions"),
    path("golden-questions/<uuid:question_id>", golden.question, name="golden_question"),
    path("golden-questions/<uuid:question_id>/accept", golden.accept, name="accept_golden_rank"),
    path("golden-questions/<uuid:question_id>/delete", golden.delete, name="delete_golden_question"),
    path("search/models/<uuid:model_id>/choose", models.choose, name="choose_model"),
    path("search/models/<uuid:model_id>/try", models.try_questions, name="try_model"),
    path("search", searching.search, name="search"),
    path("search/suggest", searching.suggest, name="suggest"),
    path("search/<uuid:search_id>/click", asked.click, name="click"),
    path("searches", asked.searches, name="searches"),
]
