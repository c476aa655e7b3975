# Perennial in a container. Both base images can be replaced: any Debian or Ubuntu with a Swift toolchain builds it,
# any of the same release runs it; HIREDIS is what that release calls the library.
# It listens on the loopback of the container unless it is told otherwise, which needs callers' keys:
#   docker run … -p 127.0.0.1:8700:8700 perennial serve --listen 0.0.0.0:8700     (PERENNIAL_AUTH_KEYS_FILE, see compose.yaml)
ARG BUILD_IMAGE=swift:6.2-bookworm
ARG RUN_IMAGE=debian:bookworm-slim

FROM ${BUILD_IMAGE} AS build
RUN apt-get update && apt-get install -y --no-install-recommends libhiredis-dev libcurl4-openssl-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY Package.swift ./
COPY Sources ./Sources
COPY Benchmarks ./Benchmarks
COPY Tests ./Tests
COPY Examples ./Examples
RUN swift build -c release --product perennial --static-swift-stdlib \
    && cp "$(swift build -c release --static-swift-stdlib --show-bin-path)/perennial" /perennial

FROM ${RUN_IMAGE}
ARG HIREDIS=libhiredis0.14
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates ${HIREDIS} libcurl4 redis-server \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --create-home --home-dir /var/lib/perennial perennial \
    && mkdir /keys && chown perennial /keys
COPY --from=build /perennial /usr/local/bin/perennial
USER perennial
ENV PERENNIAL_STATE_DIR=/var/lib/perennial/state
VOLUME /var/lib/perennial
EXPOSE 8700
ENTRYPOINT ["perennial"]
CMD ["serve"]
