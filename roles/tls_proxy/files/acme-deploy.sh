#!/bin/sh
# acme-deploy.sh [NAME]: lets nginx read certbot's certificate NAME, and serves it; says "deployed" if that was new.
set -eu
live=${RENEWED_LINEAGE:-/etc/letsencrypt/live/$1} to=/etc/certificates/tls-proxy-acme
install -d -m 755 "$to"
cmp -s "$live/fullchain.pem" "$to/server.crt" && exit 0
install -m 640 -g www-data "$live/privkey.pem" "$to/server.key"
install -m 644 "$live/fullchain.pem" "$to/server.crt"
systemctl restart nginx.service
echo deployed
