#!/bin/sh
# archive.sh: makes the archive this database's, with a full backup of it; says "changed: …" for what it did.
# A new machine, or a restore, is another database than the archive knows: it goes on there, the old backups stay.
set -eu
ask() { pgbackrest --stanza=main --log-level-console=warn "$@"; }

if ! ask --output=json info | grep -q '"type":"full"'; then
  ask stanza-create
  echo "changed: archive made"
elif ask stanza-create > /dev/null 2>&1; then
  exit 0
else
  ask stanza-upgrade
  echo "changed: archive taken over from another database"
fi
ask --type=full backup
echo "changed: full backup made"
