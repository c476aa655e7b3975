# Perennial in a container. Both base images can be replaced: any Debian or Ubuntu with a Swift toolchain builds it,
# any of the same release runs it.
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
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates libhiredis0.14 libcurl4 redis-server \
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
