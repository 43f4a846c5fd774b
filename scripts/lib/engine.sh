# shellcheck shell=bash
# shellcheck disable=SC2154,SC2004,SC2016 # shares its variables with compose-test
# A Docker engine with Compose, of our own: from Debian sid's packages, in a
# folder, in namespaces of its own. It touches neither the machine's network
# nor an engine that runs on it, its ports are free whatever else listens
# here, and when it ends, containers, networks and mounts are gone with it.
# Images and build caches stay in the folder. Sourced; needs say, $work,
# lib/cleanup.sh and lib/debootstrap.sh.

engine_root=${XDG_CACHE_HOME:-~/.cache}/job-agent/docker-sid
declare -A mounted=() # by the name under which the engine sees it, read-only: a folder

build_engine() {
  say "building a Debian sid system with Docker in $engine_root (once, about two minutes)"
  build_debian "$engine_root" sid docker.io,docker-cli,docker-compose,docker-buildx,slirp4netns,curl
}

# Sets up the namespaces from within: $1 is the engine's folder, the rest pairs
# of a name and a folder.
enter_box='
  set -eu
  mount --bind "$1" "$1"
  cd "$1"
  shift
  mount -t proc proc proc
  mount -t sysfs sysfs sys
  mount --rbind /sys/fs/cgroup sys/fs/cgroup
  mount --rbind /dev dev
  mount -t tmpfs tmpfs run
  while [ $# -gt 0 ]; do
    mkdir -p ".$1"
    mount --bind "$2" ".$1"
    mount -o remount,bind,ro ".$1"
    shift 2
  done
  # Not by chroot alone: "docker exec" enters a container by its mount namespace,
  # whose root would still be that of the machine.
  pivot_root . tmp
  exec chroot . sh -c "umount --lazy /tmp; mount -t tmpfs tmpfs /tmp; exec tini-static dockerd"
'

start_engine() {
  local folders=() name
  for name in "${!mounted[@]}"; do folders+=("$name" "${mounted[$name]}"); done
  # The address at which slirp4netns answers for the name servers of the machine.
  echo 'nameserver 10.0.2.3' >"$engine_root/etc/resolv.conf"
  mapfile -t foreign_cgroups < <(engine_cgroups)

  spawn_tied engine unshare --net --pid --mount --uts --ipc --fork --kill-child \
    sh -c "$enter_box" sh "$engine_root" "${folders[@]}"
  await_engine '[ "$(cat "/proc/$box/comm")" = tini-static ]' || return 1
  spawn_tied network nsenter --target "$box" --mount --wd \
    slirp4netns --configure --mtu=1500 --disable-host-loopback 1 tap0
  await_engine 'on_engine docker version && on_engine grep -q tap0 /proc/net/route'
}

# spawn_tied NAME PROGRAM [ARG...]: in the background, in a session of its own,
# which the kernel kills if this script is killed with SIGKILL.
spawn_tied() {
  local name=$1
  shift
  setsid setpriv --pdeathsig KILL "$@" >"$work/$name.log" 2>&1 </dev/null &
  pid[$name]=$!
}

# await_engine CONDITION
await_engine() {
  for _ in {1..600}; do
    box=$(descendants "${pid[engine]}" | sed -n 2p)
    engine=(nsenter --target "${box:-0}" --mount --net --pid --uts --ipc --wd)
    if [ -n "$box" ] && eval "$1" >/dev/null 2>&1; then return; fi
    kill -0 "${pid[engine]}" 2>/dev/null || break
    sleep 0.1
  done
  say "the Docker engine does not start:"
  tail -n 30 "$work/engine.log" "$work/network.log" >&2
  return 1
}

# The control groups that an engine makes, and leaves when it ends.
engine_cgroups() {
  find /sys/fs/cgroup -maxdepth 2 -type d -name docker
}

stop_engine() {
  kill -TERM "$box"
  wait "${pid[engine]}" || true
  engine_cgroups | { grep -vxFf <(printf '%s\n' "${foreign_cgroups[@]}") || true; } | while read -r group; do
    find "$group" -depth -type d -exec rmdir {} + || true
  done
}
