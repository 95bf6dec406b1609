"""The addresses of the pages before sign-in, and of signing out."""

from django.urls import path

from apps.accounts import pages

app_name = "accounts"

urlpatterns = [
    path("register", pages.register, name="register"),
    path("sign-in", pages.sign_in, name="sign_in"),
    path("sign-out", pages.sign_out, name="sign_out"),
]
