"""What the register and the sign-in page ask for. What a value may be is said once, in the API's schemas."""

from typing import Any

from django import forms
from pydantic import TypeAdapter
from pydantic import ValidationError as SchemaError

from apps.accounts.schemas import DisplayName, Email, Password

_EMAIL: TypeAdapter[str] = TypeAdapter(Email)
_PASSWORD: TypeAdapter[str] = TypeAdapter(Password)
_DISPLAY_NAME: TypeAdapter[str] = TypeAdapter(DisplayName)


class _AccountForm(forms.Form):
    def clean_email(self) -> str:
        # One form of an address for both doors, or the one would not find what the other has registered.
        return _valid(_EMAIL, self.cleaned_data["email"], "Enter a valid e-mail address.")

    def clean_password(self) -> str:
        return _valid(_PASSWORD, self.cleaned_data["password"], "This password has characters that cannot be typed.")


class SignInForm(_AccountForm):
    """An address and a password."""

    email = forms.EmailField(
        label="E-mail", max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "username", "autofocus": True})
    )
    password = forms.CharField(
        max_length=256, strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "current-password"})
    )


class RegisterForm(_AccountForm):
    """A name, an address and a password."""

    display_name = forms.CharField(
        label="Your name, or your brand’s",
        max_length=120,
        widget=forms.TextInput(attrs={"autocomplete": "organization", "autofocus": True}),
    )
    email = forms.EmailField(
        label="E-mail", max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "username"})
    )
    password = forms.CharField(
        max_length=256,
        strip=False,
        help_text="At least 10 characters. A few words in a row make a good one.",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def clean_display_name(self) -> str:
        return _valid(_DISPLAY_NAME, self.cleaned_data["display_name"], "Leave out characters that turn text around.")


def _valid(schema: TypeAdapter[Any], value: str, otherwise: str) -> str:
    try:
        valid: str = schema.validate_python(value)
    except SchemaError:
        raise forms.ValidationError(otherwise, code="invalid") from None
    return valid
