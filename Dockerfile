FROM rust:1.95-slim-bookworm AS build
# make: the allocator is written in C.
RUN apt-get update && apt-get install -y --no-install-recommends make && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY . .
# Downloads and compiled dependencies stay in the builder's caches, so that only what has changed is compiled.
# Cargo recognises changed files by their times alone, and those of a checkout may be older than its last build.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,id=job-agent-target,target=/build/target,sharing=locked \
    find . -path ./target -prune -o -type f -exec touch {} + \
    && cargo build --release --locked --bin job-agent \
    && cp target/release/job-agent /usr/local/bin/

FROM debian:bookworm-slim
# curl: the health checks of some platforms run it in the container, whatever HEALTHCHECK says.
RUN apt-get update \
    && apt-get install -y --no-install-recommends curl \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/job-agent job-agent
COPY --from=build /usr/local/bin/job-agent /usr/local/bin/job-agent
USER job-agent
WORKDIR /var/lib/job-agent
ENV HOST=0.0.0.0 PORT=8000
EXPOSE 8000
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s --retries=3 CMD ["job-agent", "healthcheck"]
ENTRYPOINT ["job-agent"]
CMD ["serve"]
