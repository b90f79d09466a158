#!/usr/bin/env bash
# Makes a bare Debian-like machine able to run this repository's scripts: the packages that are missing, a Docker
# engine if none answers, and unreachable routes for the cluster's ranges, so that a mistake in a test never sends
# a packet of a cluster to somebody's network. `devcluster` itself does none of this. Safe to run again; sourced or run.
#   DEVCLUSTER_DOCKERD_LOG   where an engine that is started here writes; default /var/log/devcluster-dockerd.log

machine_say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }

machine_root() { # command…: as root
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

machine_packages() {
  local missing=() package
  for package in docker.io iptables iproute2 mmdebstrap python3-venv; do
    # Whoever has another Docker keeps it.
    [ "$package" = docker.io ] && command -v dockerd >/dev/null && continue
    [ "$package" = mmdebstrap ] && docker image inspect devcluster/debian:12 >/dev/null 2>&1 && continue
    [ "$package" = python3-venv ] && python3 -c 'import ensurepip, venv' 2>/dev/null && continue
    dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
  done
  [ "${#missing[@]}" -gt 0 ] || return 0
  machine_say "Debian packages: ${missing[*]}"
  machine_root apt-get update -qq
  machine_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
}

machine_locked_out() { # says so where an engine is there and this user may not use it
  [ -S /var/run/docker.sock ] && [ ! -w /var/run/docker.sock ] || return 1
  echo "your user may not use Docker: sudo usermod -aG docker $(id -un), and log in again" >&2
}

machine_engine() {
  docker info >/dev/null 2>&1 && return 0
  machine_locked_out && return 2
  local log=${DEVCLUSTER_DOCKERD_LOG:-/var/log/devcluster-dockerd.log}
  machine_say "Docker engine (its log: $log)"
  machine_root sh -c "setsid dockerd >'$log' 2>&1 </dev/null &"
  local _
  for _ in $(seq 200); do
    docker info >/dev/null 2>&1 && return 0
    machine_root docker info >/dev/null 2>&1 && machine_locked_out && return 2
    sleep 0.3 # the engine has no other sign of life
  done
  echo "the Docker engine does not answer; the end of its log:" >&2
  machine_root tail -n 20 "$log" >&2
  return 2
}

machine_routes() {
  local network
  for network in 10.96.0.0/16 10.244.0.0/16; do
    [ -n "$(ip route show exact "$network" 2>/dev/null)" ] && continue
    machine_say "unreachable route for the cluster's range $network"
    machine_root ip route add unreachable "$network"
  done
}

if [ "$(uname -s)" = Linux ] && command -v dpkg >/dev/null; then
  machine_packages && machine_engine && machine_routes
else
  docker info >/dev/null 2>&1 || { echo "start Docker first" >&2; false; }
fi
