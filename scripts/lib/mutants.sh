# shellcheck shell=bash
# Builds of job-agent with a known bug: tests/chaos/mutants/NAME.patch, applied to a copy of the tracked files as
# they are in the working tree. Sourced by chaos, in the root of the repository.
#
# All mutants share one copy and one target folder, so each build compiles one crate, incrementally. They have a
# target folder of their own: no other command must find a mutant where it expects job-agent.

mutants=$(realpath --canonicalize-missing "${CARGO_TARGET_DIR:-target}")/mutants
export CARGO_INCREMENTAL=1

# mutant_names all|NAME[,NAME...]: one name per line.
mutant_names() {
  local name names
  if [ "$1" = all ]; then
    names=(tests/chaos/mutants/*.patch)
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

# Cargo goes by the time of files: all of the copy are new, those of an old build are older.
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
    echo "chaos: $name.patch does not apply: make the same mistake in the code of today, and write it down with git diff" >&2
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

# check_patches NAME...: each applies, and what it gives compiles.
check_patches() {
  local name
  copy_tree
  for name in "$@"; do
    # In the usual target folder, which has the dependencies checked; a check leaves no binary there.
    with_mutant "$name" check --lib --profile test --target-dir "${mutants%/*}"
  done
  echo "chaos: $# patches apply and compile"
}
