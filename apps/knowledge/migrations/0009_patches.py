"""A passage that is edited or hidden is indexed by itself. What is patched is read with the versions that answer."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0002_standing"),
        ("knowledge", "0008_long_vectors"),
    ]

    operations = [
        migrations.RemoveIndex(model_name="version", name="version_live"),
        migrations.AddField(
            model_name="version",
            name="patches",
            field=models.BinaryField(
                default=b"", help_text="Passages that are indexed anew since: see `search.postings.PATCH`."
            ),
        ),
        migrations.AddIndex(
            model_name="version",
            index=models.Index(
                condition=models.Q(("live", True)),
                fields=["creator"],
                include=("ordinal", "indexed_span", "indexed_passages", "indexed_words", "patches"),
                name="version_live",
            ),
        ),
    ]
