#!/bin/sh
# cluster.sh VERSION: makes the cluster `main` of that version, of kept data if there are some; does not start it.
set -eu
data=/var/lib/postgresql/$1/main
if [ -e "$data/PG_VERSION" ]; then
  # Debian keeps settings in /etc, so those of the data's former machine are gone; its program wants some to begin with.
  for name in postgresql.conf pg_ident.conf; do
    [ -e "$data/$name" ] || install -o postgres -g postgres -m 0640 "/usr/share/postgresql/$1/$name.sample" "$data/$name"
  done
  [ -e "$data/pg_hba.conf" ] || install -o postgres -g postgres -m 0640 /dev/null "$data/pg_hba.conf"
fi
exec pg_createcluster --user=postgres --start-conf=auto "$1" main
