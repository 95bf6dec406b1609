from django.conf import settings
from django.db import migrations

# Runs with the eyes of whoever calls it. Of the tenant table it reads, row security shows it the row of the creator
# that the transaction is bound to, and no other.
CREATE = """
CREATE FUNCTION accounts_standing(for_user uuid, for_creator uuid, for_session uuid)
RETURNS TABLE (role text, email text, user_name text, creator_name text, revision bigint)
LANGUAGE plpgsql STABLE SECURITY INVOKER AS $$
BEGIN
    RETURN QUERY
    SELECT m.role::text, u.email::text, u.display_name::text, c.display_name::text,
           coalesce((SELECT r.number FROM tenancy_revision r WHERE r.creator_id = for_creator), 0)
      FROM accounts_membership m
      JOIN accounts_user u ON u.id = m.user_id
      JOIN accounts_creator c ON c.id = m.creator_id
      JOIN accounts_refreshfamily f ON f.user_id = m.user_id AND f.creator_id = m.creator_id
     WHERE m.user_id = for_user AND m.creator_id = for_creator AND u.is_active
       AND f.id = for_session AND f.revoked_at IS NULL;
END $$
"""


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_accounts"),
        ("tenancy", "0001_revision"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RunSQL(CREATE, reverse_sql="DROP FUNCTION accounts_standing(uuid, uuid, uuid)"),
    ]
