# The sidecar image: node, the bundle (a start reads of it what it needs) and the licences of what is in it.
#
#   docker build -t request-splitter:0.1.0 .
#   docker build --build-arg NODE_IMAGE=node:26-slim@sha256:… -t request-splitter:0.1.0 .     # pinned for good
#   docker run --read-only -p 8000:8000 -e SPLIT='50% http://a.example; * http://b.example' request-splitter:0.1.0
#
# Without arguments it serves: /etc/request-splitter/splitter.yaml where that is mounted, else the environment.
ARG NODE_IMAGE=node:26-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /src
COPY package.json package-lock.json ./
# No package's install script runs; nothing in the bundle needs one.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
# The package.json spares node the guess whether a file is a module, which reads it twice.
RUN npm run build && install -D -m 755 dist/main.js /out/main.js && cp -r dist/chunks dist/load-thread.js /out/ \
    && echo '{ "type": "module" }' > /out/package.json && node scripts/image-licences.ts > /out/LICENCES

FROM ${NODE_IMAGE}
# npm and its packages are no part of what runs, only of what a scanner finds.
# The link is for people: `kubectl exec … -- request-splitter explain "/?token=42"`.
RUN rm -rf /usr/local/lib/node_modules /opt/yarn-* /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /usr/local/bin/yarn* \
    && ln -s /app/main.js /usr/local/bin/request-splitter
COPY --from=build /out/ /app/

ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="request-splitter" \
      org.opencontainers.image.description="Traffic-splitting ambassador proxy: the same token always to the same weighted upstream" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="docker.io/library/node:26-slim"

# By number: a kubelet that sees `runAsNonRoot` cannot verify a name. Nothing is ever written, so `--read-only` holds.
USER 65532:65532
# 8000 takes requests, 9901 is the admin port.
EXPOSE 8000 9901
STOPSIGNAL SIGTERM
# Kubernetes ignores this and has probes of its own; docker and podman do not.
HEALTHCHECK --interval=5s --timeout=2s --start-period=5s CMD ["node", "/app/main.js", "healthcheck"]

# node is PID 1 and gets every signal itself: no shell, no init. Its only children are workers, which it reaps itself.
#   --max-old-space-size-percentage   the heap follows the container's memory limit; the other half is for what lies
#                                     outside of it: buffers of connections, the young generation, code, node itself
#   --max-semi-space-size             a young generation of 1 MiB halves, not of 16: some MiB less after the start and more
#                                     under load, at the same CPU time for a request (docs/performance.md)
#   --disable-sigusr1                 a SIGUSR1 before the program's first line opens no debugger
# No V8 compile cache: docs/decisions/0013.
ENTRYPOINT ["node", "--max-old-space-size-percentage=50", "--max-semi-space-size=1", "--disable-sigusr1", "/app/main.js"]
