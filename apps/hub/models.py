"""What a creator says about themselves."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from shared.tenancy.models import BaseTenantModel


class Profile(BaseTenantModel):
    """A creator's public face. Made on first use: a creator without one has the defaults."""

    display_name = models.CharField(max_length=120, blank=True)
    bio = models.TextField(max_length=2000, blank=True)
    website_url = models.URLField(max_length=500, blank=True)
    timezone = models.CharField(max_length=64, default="UTC")
    language = models.CharField(max_length=35, default="en")
    coaching_categories = ArrayField(models.CharField(max_length=50), default=list, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(BaseTenantModel.Meta):
        constraints = [models.UniqueConstraint(fields=["creator"], name="profile_once_per_creator")]

    def __str__(self) -> str:
        return self.display_name
