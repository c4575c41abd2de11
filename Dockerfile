# The chorus binary and the example guests. `docker build -t chorus .`; what it runs is compose.yaml's or yours to say.

FROM rust:1.95-bookworm AS binary
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/target \
    CARGO_TARGET_DIR=/target cargo build --profile dist --locked -p chorus \
    && cp /target/dist/chorus /usr/local/bin/chorus

FROM node:22-bookworm-slim AS guests
WORKDIR /src
COPY guests/package.json guests/package-lock.json guests/
RUN cd guests && npm ci
COPY wit wit
COPY engine engine
COPY guests guests
RUN node guests/build.mjs --no-fixtures --out /guests

FROM debian:bookworm-slim
# curl asks for /readyz.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl zlib1g \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --create-home --home-dir /var/lib/chorus chorus
COPY --from=binary /usr/local/bin/chorus /usr/local/bin/chorus
COPY --from=guests /guests /guests
USER chorus
# Compiled components: worth a volume, and nothing is lost with it.
ENV CHORUS_CACHE=/var/lib/chorus/compiled
ENTRYPOINT ["chorus"]
