#!/bin/bash
# Make the data folder at the first start, see to database and users at every start, become the server.
#
# The SQL runs as the server's init file, so that nobody can connect before it is done and a first start
# that was cut off is finished by the next.
set -euo pipefail
umask 0007

log() { echo "entrypoint: $*"; }

quote() { # a value as a string of SQL
  local value=${1//\\/\\\\}
  printf "'%s'" "${value//\'/\'\'}"
}

identifier() { printf '`%s`' "${1//\`/\`\`}"; }

: "${MARIADB_ROOT_PASSWORD:?must be set}" "${MARIADB_DATABASE:?must be set}"
: "${MARIADB_USER:?must be set}" "${MARIADB_PASSWORD:?must be set}"

data=/bitnami/mariadb/data
init=/run/example/init.sql

if [ ! -d "$data/mysql" ]; then
  log "making a new data folder in $data"
  rm -rf "$data.new"
  mariadb-install-db --no-defaults --datadir="$data.new" --skip-test-db --auth-root-authentication-method=normal >/dev/null
  rm -rf "$data"
  mv "$data.new" "$data"
fi

user="$(quote "$MARIADB_USER")@'%'"
(umask 0077; cat >"$init") <<SQL
CREATE DATABASE IF NOT EXISTS $(identifier "$MARIADB_DATABASE");
CREATE USER IF NOT EXISTS $user;
ALTER USER $user IDENTIFIED BY $(quote "$MARIADB_PASSWORD");
GRANT ALL PRIVILEGES ON $(identifier "$MARIADB_DATABASE").* TO $user;
ALTER USER 'root'@'localhost' IDENTIFIED BY $(quote "$MARIADB_ROOT_PASSWORD");
SQL

log "starting"
exec "$@" --init-file="$init"
