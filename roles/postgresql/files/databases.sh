#!/bin/sh
# databases.sh PORT USER 'DATABASE …': the user with the password of the secret, and its databases; says "changed: …".
set -eu
port=$1 user=$2 databases=$3
secret=/run/postgresql-secrets/password

# Statements come by standard input and a failing one is not logged, so that the password is in no argument and no log.
ask() { psql --no-psqlrc --quiet --tuples-only --no-align -v ON_ERROR_STOP=1 --port "$port" -v user="$user" "$@"; }

if [ "$(echo "SELECT count(*) FROM pg_roles WHERE rolname = :'user'" | ask)" = 0 ]; then
  echo 'CREATE ROLE :"user" LOGIN' | ask
  echo "changed: user $user"
fi

umask 077
pass=$(mktemp)
trap 'rm -f "$pass"' EXIT
sed 's/[\\:]/\\&/g; s/^/*:*:*:*:/' "$secret" > "$pass"
knows() { PGPASSFILE=$pass psql --no-psqlrc --no-password -q -c '' "host=127.0.0.1 port=$port user=$user dbname=postgres sslmode=require" 2> /dev/null; }
if ! knows; then
  ask << 'SQL'
SET log_min_error_statement = panic;
SET log_statement = none;
SET password_encryption = 'scram-sha-256';
\set password `cat /run/postgresql-secrets/password`
ALTER ROLE :"user" PASSWORD :'password';
SQL
  echo "changed: password of $user"
  knows || { echo "PostgreSQL on port $port refuses $user with the password just set: see journalctl -u 'postgresql@*'" >&2; exit 1; }
fi

for database in $databases; do
  if [ "$(echo "SELECT count(*) FROM pg_database WHERE datname = :'name'" | ask -v name="$database")" = 0 ]; then
    echo 'CREATE DATABASE :"name" OWNER :"user"' | ask -v name="$database"
    echo 'REVOKE ALL ON DATABASE :"name" FROM PUBLIC' | ask -v name="$database"
    echo "changed: database $database"
  fi
done
