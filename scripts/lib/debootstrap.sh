# shellcheck shell=bash
# shellcheck disable=SC2154 # shares its variables with the script that sources it
# Small Debian systems in a folder, to be run with chroot or imported as Docker
# images. Sourced; needs say, $work, lib/cleanup.sh and lib/apt.sh.

# The Debian mirror that apt uses on this machine; nothing elsewhere than on Debian.
debian_mirror() {
  # shellcheck disable=SC2016 # $(REPO_URI) is apt-get's own syntax
  apt-get indextargets --format '$(REPO_URI)' \
    'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | sed -n 1p
}

apt_proxy() {
  apt-config dump --format '%v%n' Acquire::http::Proxy
}

# build_debian DIR SUITE [PACKAGE,PACKAGE...]. DIR appears complete or not at all.
build_debian() {
  local dir=$1 suite=$2 packages=${3:-} mirror verify proxy isolate=() tmp
  apt_install debootstrap debian-archive-keyring || return 1

  mirror=$(debian_mirror)
  if [ -z "$mirror" ]; then
    say "found no Debian mirror in apt's sources"
    return 1
  fi
  verify=(--keyring=/usr/share/keyrings/debian-archive-keyring.gpg)
  if [ "${TEST_MYSQL_UNVERIFIED:-}" = 1 ]; then
    say "WARNING: TEST_MYSQL_UNVERIFIED=1, so the signatures of $suite's packages are NOT checked"
    verify=(--no-check-gpg)
  fi
  proxy=$(apt_proxy)
  # debootstrap mounts /proc and /sys; in a mount namespace of its own they
  # are gone with it, however it ends.
  if unshare --mount true 2>/dev/null; then isolate=(unshare --mount); fi

  mkdir -p "$(dirname "$dir")" && tmp=$(mktemp -d "$dir.XXXXXX") || return 1
  trash+=("$tmp")
  if ! http_proxy=${http_proxy:-$proxy} run_stoppable "${isolate[@]}" \
    debootstrap --variant=minbase ${packages:+--include="$packages"} \
    "${verify[@]}" "$suite" "$tmp" "$mirror" >"$work/debootstrap.log" 2>&1; then
    say "debootstrap failed:"
    tail -n 10 "$work/debootstrap.log" >&2
    if grep -q 'signed by unknown key' "$work/debootstrap.log"; then
      say "this machine's debian-archive-keyring is too old to know $suite's key;" \
        "TEST_MYSQL_UNVERIFIED=1 builds it without checking signatures"
    fi
    return 1
  fi
  rm -rf "$tmp"/var/cache/apt/archives/*.deb "$tmp"/var/lib/apt/lists/*
  chmod 755 "$tmp" # mktemp's 700 would keep unprivileged servers out of their /
  rm -rf "$dir"
  mv "$tmp" "$dir"
}
