"""Django's admin with the hub's site. Named in INSTALLED_APPS in place of `django.contrib.admin`."""

from django.contrib.admin.apps import AdminConfig


class HubAdminConfig(AdminConfig):
    """Staff's door."""

    default_site = "shared.tenancy.admin.HubAdminSite"
