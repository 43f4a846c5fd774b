# shellcheck shell=bash
# shellcheck disable=SC2154 # shares its variables with compose-test
# Images made from Debian's packages, under the names that Dockerfile and
# docker-compose.yml use, for machines that cannot pull the real ones. Sourced;
# needs lib/engine.sh.

# What the engine must see to build them: see build_stand_ins.
mount_stand_in_sources() {
  mounted[/toolchain]=$(rustc --print sysroot)
  mounted[/mysql]=${TEST_MYSQL_ROOT:-$cache/mysql-sid}
  mounted[/machine]=$work/machine
  if [ ! -x "${mounted[/mysql]}/usr/sbin/mysqld" ]; then build_mysql_sid "${mounted[/mysql]}"; fi

  # How this machine reaches crates.io.
  local settings=${CARGO_HOME:-~/.cargo}/config.toml certificates=/etc/ssl/certs/ca-certificates.crt
  mkdir -p "$work/machine/usr/local/cargo"
  if [ -e "$settings" ]; then cp "$settings" "$work/machine/usr/local/cargo/"; fi
  if [ -e "$certificates" ]; then install -D "$certificates" "$work/machine$certificates"; fi
}

has_image() {
  on_engine docker image inspect "$1" >/dev/null 2>&1
}

build_stand_ins() {
  if ! has_image debian:bookworm-slim; then import_bookworm; fi
  if ! has_image mysql-sid; then on_engine tar -C /mysql -c . | on_engine docker import - mysql-sid >/dev/null; fi
  build_stand_in rust:1.95-slim-bookworm rust.Dockerfile \
    --build-context toolchain=/toolchain --build-context machine=/machine
  build_stand_in redis:7-alpine redis.Dockerfile
  build_stand_in mysql:9.7 mysql.Dockerfile
}

import_bookworm() {
  local dir=$work/bookworm proxy
  build_debian "$dir" bookworm
  trash+=("$dir")
  proxy=$(apt_proxy)
  if [ -n "$proxy" ]; then
    echo "Acquire::http::Proxy \"$proxy\";" >"$dir/etc/apt/apt.conf.d/proxy"
  fi
  # Like the slim image: no documentation, and apt keeps no packages.
  rm -rf "$dir"/usr/share/{doc,man,locale,info}/* "$dir"/var/cache/apt/* "$dir"/var/log/*.log
  printf 'path-exclude /usr/share/%s/*\n' doc man locale info >"$dir/etc/dpkg/dpkg.cfg.d/slim"
  cat >"$dir/etc/apt/apt.conf.d/slim" <<'APT'
APT::Keep-Downloaded-Packages "false";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb"; };
APT
  tar -C "$dir" -c . | on_engine docker import - debian:bookworm-slim >/dev/null
}

# build_stand_in IMAGE DOCKERFILE [OPTION...]
build_stand_in() {
  local image=$1 file=$2
  shift 2
  logged "${engine[@]}" docker build --quiet --tag "$image" --file "/project/scripts/lib/stand-ins/$file" "$@" \
    /project/scripts/lib/stand-ins
}
