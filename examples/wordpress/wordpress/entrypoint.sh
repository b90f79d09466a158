#!/bin/bash
# Install WordPress at the first start, restore it at a later one, wait for its database, become Apache.
#
# /bitnami/wordpress (the claim) keeps wp-content and wp-config.php; what is in the image only links
# there.  The database's address is always read from wp-config.php, so that the address which was waited
# for is the one that WordPress will use.
set -euo pipefail
umask 0007

log() { echo "entrypoint: $*"; }

volume=/bitnami/wordpress
runtime=/run/example

if [ "${1:-}" = apache2 ]; then
  rm -f "$runtime"/*.pid
  if [ -f "$volume/wp-config.php" ]; then
    log "restoring the persisted installation from $volume"
  else
    log "first start: nothing is persisted in $volume yet"
    if [ ! -d "$volume/wp-content" ]; then # under another name until complete
      rm -rf "$volume/.wp-content"
      cp -r --no-preserve=mode,ownership /opt/wordpress-content "$volume/.wp-content"
      mv "$volume/.wp-content" "$volume/wp-content"
    fi
    php /opt/example/configure.php >"$volume/.wp-config.php"
    mv "$volume/.wp-config.php" "$volume/wp-config.php"
  fi
  php /opt/example/wait.php
  php /opt/example/install.php
  if [ ! -f "$runtime/tls.pem" ]; then
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 \
      -subj "/CN=wordpress" -addext "basicConstraints=critical,CA:FALSE" -addext "subjectAltName=DNS:wordpress,DNS:localhost" \
      -keyout "$runtime/tls.key" -out "$runtime/tls.pem" 2>/dev/null
  fi
  log "starting Apache"
fi
exec "$@"
