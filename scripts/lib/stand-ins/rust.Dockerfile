# Stands in for rust:1.95-slim-bookworm, with the Rust toolchain, the certificates and the cargo settings of the
# machine (the build contexts "toolchain" and "machine").
FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
COPY --from=toolchain bin/cargo bin/rustc /usr/local/rust/bin/
COPY --from=toolchain lib /usr/local/rust/lib
COPY --from=machine . /
ENV CARGO_HOME=/usr/local/cargo PATH=/usr/local/rust/bin:$PATH
