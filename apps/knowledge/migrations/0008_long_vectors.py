"""Vectors of more dimensions than a search reads a row for each of stay in the row.

Postgres moves a value out of a row of more than 2 kB, which is a thousand dimensions, and a search would fetch every
vector that it looks at from another table.
"""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("knowledge", "0007_golden_trials")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE knowledge_vector SET (toast_tuple_target = 8160)",
            "ALTER TABLE knowledge_vector RESET (toast_tuple_target)",
        ),
    ]
