# weir as an image: one static program and the certificates that it trusts, on nothing. Needs BuildKit or Buildah.
#
#   docker build -t weir .                                            builds the program in the image `rust`
#   buildah bud --build-context build=target/static -t weir .         takes what `make static` has put into target/static
#
# The program is static by glibc: see ARCHITECTURE.md. There is no shell in it; `weir doctor` and `weir config` are what one
# looks around with.

FROM docker.io/library/rust:1.95-bookworm AS build
RUN rustup target add wasm32-wasip2
WORKDIR /src
COPY . .
RUN make static && mv target/static/* /

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="weir" \
      org.opencontainers.image.description="Serves prompt flow deployments: every node a sandboxed WebAssembly component, every node traced" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/weir-flow/weir" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
# Where rustls-native-certs and everybody else look first on Debian.
COPY --from=build /ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /weir /weir
# Folders of its own, since the root is not: machine code, and what must outlive the process. A volume may lie over them.
COPY --from=build --chown=65532:65532 /empty /var/cache/weir
COPY --from=build --chown=65532:65532 /empty /var/lib/weir
# `nonroot` of distroless, by number: there is no /etc/passwd, and Kubernetes' runAsNonRoot wants to see that it is not 0.
USER 65532:65532
# Outside of a pod as well: a container's loopback is nobody's. Callers need a key, or WEIR_AUTH=none.
ENV WEIR_LISTEN=0.0.0.0:8080 WEIR_ADMIN_LISTEN=0.0.0.0:9090 WEIR_CACHE_DIR=/var/cache/weir
EXPOSE 8080 9090
STOPSIGNAL SIGTERM
ENTRYPOINT ["/weir"]
CMD ["serve"]
