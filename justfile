# List the commands
default:
    @{{ just_executable() }} --list

# Run job-agent: just run ARGS
[positional-arguments]
run *args:
    cargo run --locked -- "$@"

# Run the tests on real MySQL, MariaDB and Redis: just test ARGS, as for cargo test
[positional-arguments]
test *args:
    scripts/test "$@"

# Everything that CI checks
ci:
    bash .ci/run

# Check the format and clippy's rules
lint:
    cargo fmt --all --check
    cargo clippy --all-targets --locked -- -D warnings

# Format the code
fmt:
    cargo fmt --all

# A shell with the three test servers, which go when it ends; $TEST_* say where they are
servers:
    scripts/with-servers "${SHELL:-bash}"

# The service beside the bare work of its databases: just bench --quick, just bench all fast
[positional-arguments]
bench *args:
    scripts/bench "$@"

# The ranking, at all sizes or at one: just bench-ranking 100000/
[positional-arguments]
bench-ranking *args:
    cargo bench --locked --bench ranking -- "$@"
