"""The addresses of a creator's documents and of search."""

from django.urls import path

from apps.knowledge import pages

app_name = "knowledge"

urlpatterns = [
    path("documents", pages.documents, name="documents"),
    path("documents/<uuid:document_id>", pages.document, name="document"),
    path("documents/<uuid:document_id>/row", pages.row, name="row"),
    path("documents/<uuid:document_id>/content", pages.content, name="content"),
    path("documents/<uuid:document_id>/delete", pages.delete, name="delete"),
    path("search", pages.search, name="search"),
]
