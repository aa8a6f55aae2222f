# The sidecar image: node, the libraries that node loads, the bundle (a start reads of it what it needs), their licences
# and the list of what is inside. No shell, no package manager, no Debian around it (docs/decisions/0040).
#
#   docker build -t request-splitter:0.1.0 .
#   docker run --read-only -p 8000:8000 -e SPLIT='50% http://a.example; * http://b.example' request-splitter:0.1.0
#
# Without arguments it serves: /etc/request-splitter/splitter.yaml where that is mounted, else the environment.
# docs/operations.md, "The image", has the arguments of a release and how to build the same bytes twice.

# What builds: npm, apt and the libraries come from here; its node does not. Pin it with @sha256:… for a release.
ARG NODE_IMAGE=node:26-slim

FROM ${NODE_IMAGE} AS root
# The Node that the tests run, from the package that brings it to them (`node` in package.json); the checksums are in the repository.
ARG NODE_VERSION=26.10.0
WORKDIR /node
COPY scripts/image-node.sha512 ./
RUN npm pack --loglevel=error --fetch-retries=5 "node-linux-$(node -p process.arch)@${NODE_VERSION}" \
    && sha512sum --check --ignore-missing image-node.sha512 \
    && tar -xzf node-linux-*.tgz --strip-components=1 package/bin/node package/LICENSE
COPY scripts/image-root.sh ./
RUN apt-get update && apt-get install --yes --no-install-recommends binutils && sh image-root.sh /node /root-fs

FROM ${NODE_IMAGE} AS build
WORKDIR /src
COPY package.json package-lock.json ./
# No package's install script runs; nothing in the bundle needs one.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
# What the SBOM says of the libraries.
COPY --from=root /root-fs/etc/os-release /root-fs/etc/
COPY --from=root /root-fs/var/lib/dpkg/status.d/ /root-fs/var/lib/dpkg/status.d/
# The package.json spares node the guess whether a file is a module, which reads it twice. The first line of main.js
# names node itself: the image has no `env`.
RUN npm run build && install -D -m 755 dist/main.js /out/app/main.js && cp -r dist/chunks dist/load-thread.js /out/app/ \
    && sed -i '1s|.*|#!/usr/local/bin/node|' /out/app/main.js \
    && echo '{ "type": "module" }' > /out/app/package.json && node scripts/image-licences.ts > /out/app/LICENCES \
    && node scripts/image-sbom.ts /root-fs > /out/app/sbom.cdx.json \
    # For people: `kubectl exec … -- request-splitter explain "/?token=42"`.
    && mkdir -p /out/usr/local/bin && ln -s /app/main.js /out/usr/local/bin/request-splitter \
    && find /out -exec touch --no-dereference --date=@0 {} +

FROM scratch
# Two layers: the first changes with node and the libraries, the second with this program.
COPY --from=root /root-fs/ /
COPY --from=build /out/ /

ARG VERSION=0.1.0
ARG REVISION=unknown
# When the commit was made; the time of the build would make every build another image.
ARG CREATED=1970-01-01T00:00:00Z
# The image has no base image. `source`, `url` and `documentation` are addresses: the release adds its own with --label.
LABEL org.opencontainers.image.title="request-splitter" \
      org.opencontainers.image.description="Traffic-splitting ambassador proxy: the same token always to the same weighted upstream" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.vendor="The request-splitter maintainers" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.base.name="scratch"

ENV PATH=/usr/local/bin
# By number: a kubelet that sees `runAsNonRoot` cannot verify a name. Nothing is ever written, so `--read-only` holds.
USER 65532:65532
# 8000 takes requests, 9901 is the admin port.
EXPOSE 8000 9901
STOPSIGNAL SIGTERM
# Kubernetes ignores this and has probes of its own; docker and podman do not.
HEALTHCHECK --interval=30s --timeout=3s --start-period=5s CMD ["node", "/app/main.js", "healthcheck"]

# node is PID 1 and gets every signal itself: no shell, no init. Its only children are workers, which it reaps itself.
#   --max-old-space-size-percentage   the heap follows the container's memory limit; the other half is for what lies
#                                     outside of it: buffers of connections, the young generation, code, node itself
#   --max-semi-space-size             a young generation of 1 MiB halves, not of 16: some MiB less after the start and more
#                                     under load, at the same CPU time for a request (docs/performance.md)
#   --disable-sigusr1                 a SIGUSR1 before the program's first line opens no debugger
# No V8 compile cache: docs/decisions/0013.
ENTRYPOINT ["node", "--max-old-space-size-percentage=50", "--max-semi-space-size=1", "--disable-sigusr1", "/app/main.js"]
