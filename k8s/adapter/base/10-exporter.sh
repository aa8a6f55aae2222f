# Runs once, on an empty data folder: the exporter reads statistics with the role pg_monitor, not as superuser.
psql -v ON_ERROR_STOP=1 --no-psqlrc --username "${POSTGRES_USER:-postgres}" --dbname postgres \
    -v password="$(cat /run/secrets/postgresql/exporter-password)" <<'SQL'
CREATE ROLE exporter LOGIN PASSWORD :'password';
GRANT pg_monitor TO exporter;
SQL
