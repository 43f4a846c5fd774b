# shellcheck shell=bash
# Builds of job-agent with a known bug: tests/chaos/mutants/NAME.patch, applied to a copy of the tracked files as
# they are in the working tree. Sourced by chaos, in the root of the repository.
#
# All mutants share one copy and one target folder, so each build compiles one crate, incrementally. The folder is not
# the usual one: no other command must find a mutant where it expects job-agent.

mutants=$(realpath --canonicalize-missing "${CARGO_TARGET_DIR:-target}")/mutants
export CARGO_INCREMENTAL=1

# mutant_names all|NAME[,NAME...]: one name per line.
mutant_names() {
  local name names
  if [ "$1" = all ]; then
    # Those that only a failover shows need a topology.
    local files=(grep --files-without-match '^Topology: ' tests/chaos/mutants/*.patch)
    if [ -n "${CHAOS_TOPOLOGY:-}" ]; then
      files=(grep --files-with-matches "^Topology: .*$CHAOS_TOPOLOGY" tests/chaos/mutants/*.patch)
    fi
    if [ -n "${CHECKED_ONLY:-}" ]; then files=(ls tests/chaos/mutants/*.patch); fi
    mapfile -t names < <("${files[@]}")
    names=("${names[@]##*/}")
    names=("${names[@]%.patch}")
  else
    IFS=, read -ra names <<<"$1"
  fi
  for name in "${names[@]}"; do
    if [ ! -e "tests/chaos/mutants/$name.patch" ]; then
      echo "chaos: there is no tests/chaos/mutants/$name.patch" >&2
      return 1
    fi
    echo "$name"
  done
}

# Cargo compares the times of files: those of the copy are newer than those of any build.
copy_tree() {
  local snapshot
  rm -rf "$mutants/tree"
  mkdir -p "$mutants/tree"
  snapshot=$(git stash create)
  git archive "${snapshot:-HEAD}" | tar --extract --touch --directory "$mutants/tree"
}

# with_mutant NAME CARGO-ARG...: runs cargo on the copy while the patch is applied.
with_mutant() {
  local name=$1 status=0 patch log=$mutants/cargo.log
  shift
  patch=$PWD/tests/chaos/mutants/$name.patch
  if ! change_tree "$patch"; then
    echo "chaos: $name.patch does not apply: make the same mistake in the present code, and save it with git diff" >&2
    return 1
  fi
  cargo "$@" --quiet --locked --manifest-path "$mutants/tree/Cargo.toml" >"$log" 2>&1 </dev/null || status=$?
  if [ "$status" != 0 ]; then
    echo "chaos: the code with $name.patch does not compile:" >&2
    cat "$log" >&2
  fi
  change_tree --reverse "$patch"
  return "$status"
}

# The copy is no repository, though it lies in one.
change_tree() { GIT_CEILING_DIRECTORIES=$mutants git -C "$mutants/tree" apply "$@"; }

# build_mutants NAME...: each as $mutants/bin/NAME.
build_mutants() {
  local name
  copy_tree
  rm -rf "$mutants/bin"
  mkdir "$mutants/bin"
  for name in "$@"; do
    echo "chaos: building $name" >&2
    with_mutant "$name" build --bin job-agent --target-dir "$mutants/build" --config profile.dev.debug=false
    cp "$mutants/build/debug/job-agent" "$mutants/bin/$name"
  done
}

# check_patches NAME...: each must apply and compile.
check_patches() {
  local name failed=()
  copy_tree
  for name in "$@"; do
    # In the usual target folder, which has the dependencies checked; a check leaves no binary there.
    with_mutant "$name" check --lib --profile test --target-dir "${mutants%/*}" || failed+=("$name")
  done
  if [ ${#failed[@]} -gt 0 ]; then
    echo "chaos: to be made again: ${failed[*]}" >&2
    return 1
  fi
  echo "chaos: $# patches apply and compile"
}
