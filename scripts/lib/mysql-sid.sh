# shellcheck shell=bash
# shellcheck disable=SC2154 # shares its variables with with-servers
# Debian's stable releases have no MySQL, only sid (unstable) does. This builds
# a minimal sid system with MySQL in it, to be run with chroot. Sourced by
# with-servers; needs say, run_stoppable and lib/apt.sh.

# The Debian mirror that apt uses on this machine; nothing elsewhere than on Debian.
debian_mirror() {
  # shellcheck disable=SC2016 # $(REPO_URI) is apt-get's own syntax
  apt-get indextargets --format '$(REPO_URI)' \
    'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | sed -n 1p
}

# build_mysql_sid DIR. DIR appears complete or not at all.
build_mysql_sid() {
  local dir=$1 mirror verify proxy isolate=() tmp
  say "building a Debian sid system with MySQL in $dir (once, about a minute)"
  apt_install debootstrap debian-archive-keyring || return 1

  mirror=$(debian_mirror)
  if [ -z "$mirror" ]; then
    say "found no Debian mirror in apt's sources"
    return 1
  fi
  verify=(--keyring=/usr/share/keyrings/debian-archive-keyring.gpg)
  if [ "${TEST_MYSQL_UNVERIFIED:-}" = 1 ]; then
    say "WARNING: TEST_MYSQL_UNVERIFIED=1, so the signatures of sid's packages are NOT checked"
    verify=(--no-check-gpg)
  fi
  proxy=$(apt-config dump --format '%v%n' Acquire::http::Proxy)
  # debootstrap mounts /proc and /sys; in a mount namespace of its own they
  # are gone with it, however it ends.
  if unshare --mount true 2>/dev/null; then isolate=(unshare --mount); fi

  mkdir -p "$(dirname "$dir")" && tmp=$(mktemp -d "$dir.XXXXXX") || return 1
  trash+=("$tmp")
  if ! http_proxy=${http_proxy:-$proxy} run_stoppable "${isolate[@]}" \
    debootstrap --variant=minbase --include=mysql-server-core,mysql-client-core \
    "${verify[@]}" sid "$tmp" "$mirror" >"$work/debootstrap.log" 2>&1; then
    say "debootstrap failed:"
    tail -n 10 "$work/debootstrap.log" >&2
    if grep -q 'signed by unknown key' "$work/debootstrap.log"; then
      say "this machine's debian-archive-keyring is too old to know sid's key;" \
        "TEST_MYSQL_UNVERIFIED=1 builds it without checking signatures"
    fi
    return 1
  fi
  if ! chroot "$tmp" mysqld --version >/dev/null; then
    say "sid's mysqld does not start"
    return 1
  fi
  rm -rf "$tmp"/var/cache/apt/archives/*.deb "$tmp"/var/lib/apt/lists/*
  chmod 755 "$tmp" # mktemp's 700 would keep the unprivileged server out of its /
  rm -rf "$dir"
  mv "$tmp" "$dir"
}
