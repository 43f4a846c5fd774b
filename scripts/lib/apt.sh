# shellcheck shell=bash
# Installing Debian packages without asking, without removing anything, and
# quietly unless it fails. Sourced.

can_apt_install() {
  command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]
}

# apt_install PACKAGE...
apt_install() {
  local log status=0
  log=$(mktemp)
  # The flock: "apt-get update" does not wait for another one by itself.
  # --no-remove: a machine's own MySQL must not make way for our MariaDB.
  # "update" may fail for one broken source that these packages do not need.
  DEBIAN_FRONTEND=noninteractive flock /var/lib/apt/lists bash -c '
    apt-get update || true
    apt-get install -y --no-install-recommends --no-remove -o DPkg::Lock::Timeout=300 "$@"
  ' apt_install "$@" >"$log" 2>&1 </dev/null || status=$?
  if [ "$status" != 0 ]; then
    echo "apt-get could not install: $*" >&2
    tail -n 20 "$log" >&2
  fi
  rm -f "$log"
  return "$status"
}
