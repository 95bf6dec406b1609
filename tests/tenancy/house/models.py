"""Two tenant tables with every kind of key between them, and one whose changes are not counted."""

from django.db import models

from shared.tenancy.models import BaseTenantModel


class Room(BaseTenantModel):
    """Something a creator owns."""

    name = models.CharField(max_length=50)
    inside = models.ForeignKey("self", on_delete=models.DB_CASCADE, null=True)

    class Meta(BaseTenantModel.Meta):
        app_label = "house"
        constraints = [models.UniqueConstraint(fields=["creator", "name"], name="room_name_once")]


class Chair(BaseTenantModel):
    """Something inside it."""

    room = models.ForeignKey(Room, on_delete=models.CASCADE, related_name="chairs")
    spare_room = models.ForeignKey(Room, on_delete=models.DB_SET_NULL, null=True, related_name="+")
    label = models.CharField(max_length=50)

    class Meta(BaseTenantModel.Meta):
        app_label = "house"


class Visit(BaseTenantModel):
    """Somebody was there. Nothing of a creator's has changed by it."""

    counts_revision = False

    room = models.ForeignKey(Room, on_delete=models.DB_CASCADE, related_name="visits")

    class Meta(BaseTenantModel.Meta):
        app_label = "house"


MODELS = (Room, Chair, Visit)
