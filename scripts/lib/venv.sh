# shellcheck shell=bash
# Python packages in an environment of their own. Sourced; needs say and lib/apt.sh.

# make_venv NAME PACKAGE==VERSION...: sets $venv, a folder in the cache that is made once for these versions. An
# installation that was cut off is made again.
make_venv() {
  local name=$1 lock packages
  shift
  packages=$*
  venv=${XDG_CACHE_HOME:-~/.cache}/job-agent/$name/${packages//[^a-z0-9.]/-}
  mkdir -p "${venv%/*}"
  exec {lock}<"${venv%/*}"
  flock "$lock"
  if [ ! -e "$venv/complete" ]; then
    say "installing $packages"
    if ! python3 -c 'import ensurepip, venv' 2>/dev/null && can_apt_install; then
      apt_install python3-venv || return
    fi
    rm -rf "$venv"
    python3 -m venv "$venv" || return
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@" || return
    touch "$venv/complete"
  fi
  exec {lock}<&-
}
