# shellcheck shell=bash
# Debian's stable releases have no MySQL, only sid (unstable) does. This builds
# a minimal sid system with MySQL in it, to be run with chroot. Sourced; needs
# say and lib/debootstrap.sh.

# build_mysql_sid DIR
build_mysql_sid() {
  say "building a Debian sid system with MySQL in $1 (once, about a minute)"
  build_debian "$1" sid mysql-server-core,mysql-client-core || return 1
  if ! chroot "$1" mysqld --version >/dev/null; then
    say "sid's mysqld does not start"
    rm -rf "$1"
    return 1
  fi
}
