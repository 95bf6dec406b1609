"""Long vectors stay in their rows.

Postgres moves a value out of a row of more than 2 kB, which is a thousand dimensions, and a search would fetch every
vector that it looks at from another table.
"""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("knowledge", "0007_golden_trials")]

    operations = [
        migrations.RunSQL(
            f"ALTER TABLE {table} SET (toast_tuple_target = 8160)",
            f"ALTER TABLE {table} RESET (toast_tuple_target)",
        )
        for table in ("knowledge_vector", "knowledge_cell")
    ]
