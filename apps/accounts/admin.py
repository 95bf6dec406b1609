"""Staff's view of who signs in. Tenant rows are elsewhere, behind `TenantAdmin`."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from apps.accounts.models import AuditEntry, Creator, Membership, User
from shared.tenancy.acting import may_act
from shared.tenancy.admin import TenantAdmin

admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):
    """Groups of staff."""


class NewUserForm(UserCreationForm):
    """A user made by staff."""

    class Meta:
        model = User
        fields = ("email", "display_name")


class UserForm(UserChangeForm):
    """A user, changed by staff."""

    class Meta:
        model = User
        fields = "__all__"


class MembershipInline(TabularInline):
    """What a user may do, and for whom."""

    model = Membership
    extra = 0
    show_title = False
    autocomplete_fields = ("user", "creator")


class KeptAdmin(ModelAdmin):
    """Rows that staff never delete: others hang on them, and erasing is a service of its own."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(User)
class UserAdmin(KeptAdmin, DjangoUserAdmin):
    """People. Whoever must not come in any more is made inactive."""

    form = UserForm
    add_form = NewUserForm
    change_password_form = AdminPasswordChangeForm
    ordering = ("email",)
    list_display = ("email", "display_name", "is_active", "is_staff", "last_login", "created_at")
    list_filter = ("is_active", "is_staff")
    search_fields = ("email", "display_name")
    readonly_fields = ("last_login", "created_at")
    filter_horizontal = ("groups", "user_permissions")
    inlines = (MembershipInline,)
    fieldsets = (
        (None, {"fields": ("email", "display_name", "password")}),
        ("What they may do", {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        ("When", {"fields": ("last_login", "created_at")}),
    )
    add_fieldsets = ((None, {"fields": ("email", "display_name", "password1", "password2")}),)


@admin.register(Creator)
class CreatorAdmin(KeptAdmin):
    """Creators, and the way into one."""

    list_display = ("display_name", "id", "created_at")
    search_fields = ("display_name", "=id")
    readonly_fields = ("id", "created_at")
    inlines = (MembershipInline,)
    actions_row = ("act_as",)
    actions_detail = ("act_as",)

    @action(description="Act as this creator", url_path="act-as", permissions=["act_as"])
    def act_as(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Go to where the reason is asked."""
        return redirect("admin:act_as", creator_id=object_id)

    def has_act_as_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return may_act(request)


@admin.register(Membership)
class MembershipAdmin(ModelAdmin):
    """Who belongs to whom."""

    list_display = ("user", "creator", "role", "created_at")
    list_filter = ("role",)
    list_select_related = ("user", "creator")
    search_fields = ("user__email", "creator__display_name")
    autocomplete_fields = ("user", "creator")
    readonly_fields = ("created_at",)


@admin.register(AuditEntry)
class AuditEntryAdmin(TenantAdmin):
    """What staff did as this creator."""

    read_only = True
    list_display = ("at", "action", "object_kind", "object_id", "reason", "user_id", "detail")
    list_filter = ("action",)
    search_fields = ("reason", "object_id")

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        return lookup == "object_id" or super().lookup_allowed(lookup, value, request)
