#!/bin/sh
# renew.sh NAME [now]: issues /etc/certificates/NAME/server.crt if it is missing, near its end or asked for now;
# says "renewed: …" when it did, and "authority: new …" if that is another one; nothing when it need not.
set -eu
umask 077
cd "/etc/certificates/$1"
# shellcheck source=/dev/null
. ./settings

names='' constraints=''
for host in $HOSTS; do
  case $host in
    *[!0-9.]*) names="$names,DNS:$host" constraints="$constraints,permitted;DNS:$host" ;;
    *) names="$names,IP:$host" constraints="$constraints,permitted;IP:$host/255.255.255.255" ;;
  esac
done
# An authority that may sign addresses only, or names only, must exclude the others by itself.
case $constraints in *IP:*) ;; *) constraints="$constraints,excluded;IP:0.0.0.0/0.0.0.0" ;; esac
case $constraints in *DNS:*) ;; *) constraints="$constraints,excluded;DNS:." ;; esac
names=${names#,} constraints=${constraints#,}

if [ ! -s ca.crt ] || [ "$(cat ca.names 2>/dev/null)" != "$names" ]; then
  openssl ecparam -genkey -name prime256v1 -noout -out ca.key.new
  openssl req -x509 -new -key ca.key.new -sha256 -days "$CA_DAYS" -subj "/CN=${1} authority of $(hostname)" \
    -addext 'basicConstraints=critical,CA:TRUE,pathlen:0' -addext 'keyUsage=critical,keyCertSign,cRLSign' \
    -addext "nameConstraints=critical,$constraints" -out ca.crt.new
  chmod 644 ca.crt.new
  rm -f server.crt
  mv ca.key.new ca.key
  mv ca.crt.new ca.crt
  printf '%s' "$names" > ca.names
  echo "authority: new, SHA-256 $(openssl x509 -in ca.crt -noout -fingerprint -sha256 | cut -d= -f2)"
elif [ "${2:-}" != now ] && [ -s server.crt ] && [ -s server.key ] && openssl x509 -in server.crt -noout -checkend $((RENEW_DAYS * 86400)) > /dev/null; then
  exit 0
fi

openssl ecparam -genkey -name prime256v1 -noout -out server.key.new
openssl req -new -key server.key.new -subj "/CN=${HOSTS%% *}" -out server.csr
printf 'subjectAltName=%s\nbasicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n' "$names" > server.ext
openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -set_serial "0x$(openssl rand -hex 16)" -sha256 \
  -days "$DAYS" -extfile server.ext -out server.crt.new 2> /dev/null
openssl verify -CAfile ca.crt server.crt.new > /dev/null
chgrp "$GROUP" server.key.new
chmod 640 server.key.new
chmod 644 server.crt.new
mv server.key.new server.key
mv server.crt.new server.crt
rm -f server.csr server.ext
echo "renewed: $names until $(openssl x509 -in server.crt -noout -enddate | cut -d= -f2)"
if [ -n "$UNIT" ] && systemctl is-active --quiet "$UNIT"; then systemctl reload "$UNIT"; fi
