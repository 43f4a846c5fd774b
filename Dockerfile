# syntax=docker/dockerfile:1

FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /build
# The dependencies in a layer of their own, built for empty sources: it is rebuilt only when they change.
COPY Cargo.toml Cargo.lock ./
COPY benches/ranking/Cargo.toml benches/ranking/
RUN mkdir -p src tests/chaos \
    && echo 'fn main() {}' | tee src/main.rs src/lib.rs benches/batch.rs benches/ranking/main.rs tests/chaos/main.rs \
    && cargo build --release --locked && rm -rf src benches
COPY . .
# Newer than what the layer above built from empty files.
RUN touch src/main.rs src/lib.rs && cargo build --release --locked

FROM debian:bookworm-slim
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/job-agent job-agent
COPY --from=build /build/target/release/job-agent /usr/local/bin/job-agent
USER job-agent
WORKDIR /var/lib/job-agent
ENV HOST=0.0.0.0 PORT=8000
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["job-agent", "healthcheck"]
ENTRYPOINT ["job-agent"]
CMD ["serve"]
