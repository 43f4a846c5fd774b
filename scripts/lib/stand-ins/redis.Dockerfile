# Stands in for redis:7-alpine, which has protected mode off, too.
FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends redis-server \
    && rm -rf /var/lib/apt/lists/* \
    && mkdir /data && chown redis:redis /data
COPY --chmod=755 redis-entrypoint /usr/local/bin/entrypoint
USER redis
VOLUME /data
WORKDIR /data
EXPOSE 6379
ENTRYPOINT ["entrypoint"]
CMD ["redis-server"]
