# Images of HANA-X Vector.
#
#   docker build --target server -t hana-x-vector/server:0.1.0 .        gateway, index-shard, batch-processor,
#                                                                       operator, commands
#   docker build --target embedder -t hana-x-vector/embedder:0.1.0 .    models that the cluster serves itself
#
# BASE may name the same image in another registry. TORCH_INDEX_URL may name an index with builds of torch
# for processors alone, which are many times smaller than those for a GPU.
# Kernels are compiled for the processor that builds the image; on another kind of processor, a shard's
# first start compiles them, which takes a minute or two.

ARG BASE=python:3.11-slim

# --- what is installed, in stages that are left behind ---------------------------------------

FROM scratch AS sources
COPY pyproject.toml constraints.txt README.md LICENSE /
COPY services /services
COPY operator /operator
COPY protos/python /protos/python
COPY sdk /sdk

FROM ${BASE} AS environment
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1 PIP_ROOT_USER_ACTION=ignore
# It holds no pip: it is filled from outside.
RUN python -m venv --without-pip /opt/hana-x-vector
WORKDIR /src

FROM environment AS server-packages
COPY --from=sources / ./
RUN pip --python /opt/hana-x-vector/bin/python install ./sdk '.[batch,gateway,operator,shard]' -c constraints.txt
# By hash, and never checked: layers change the times of files, and nobody can write them.
RUN /opt/hana-x-vector/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/hana-x-vector/lib
ENV NUMBA_CACHE_DIR=/opt/hana-x-vector/compiled
RUN /opt/hana-x-vector/bin/python -m hanax.engine.kernels \
    && HANAX_KERNELS=portable /opt/hana-x-vector/bin/python -m hanax.engine.kernels

FROM environment AS embedder-packages
# Ahead of the sources: no change of them fetches torch again.
COPY constraints.txt ./
ARG TORCH_INDEX_URL=
RUN pip --python /opt/hana-x-vector/bin/python install \
    ${TORCH_INDEX_URL:+--index-url "$TORCH_INDEX_URL"} "$(grep '^torch==' constraints.txt)"
COPY --from=sources / ./
RUN pip --python /opt/hana-x-vector/bin/python install ./sdk '.[embedder]' -c constraints.txt
# torch has files for newer Pythons, which this one cannot compile.
RUN /opt/hana-x-vector/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/hana-x-vector/lib || true

# --- what runs: no compiler, no root, nothing written outside /tmp and volumes ---------------

FROM ${BASE} AS base
# With an entry in passwd: libraries ask for the name and the home of who runs them.
RUN groupadd --gid 10001 hanax \
    && useradd --uid 10001 --gid hanax --no-create-home --home-dir /tmp --shell /usr/sbin/nologin hanax
ENV PATH=/opt/hana-x-vector/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /tmp
USER 10001:10001

FROM base AS embedder
COPY --from=embedder-packages /opt/hana-x-vector /opt/hana-x-vector
CMD ["python", "-m", "hanax.embedder"]

FROM base AS server
COPY --from=server-packages /opt/hana-x-vector /opt/hana-x-vector
COPY scripts/with_kernels.sh /usr/local/bin/with-kernels
# Pods of shards set it to a folder of their volume.
ENV NUMBA_CACHE_DIR=/tmp/hana-x-vector
ENTRYPOINT ["with-kernels", "/opt/hana-x-vector/compiled"]
CMD ["hana-x-vector", "--help"]
