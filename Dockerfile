# syntax=docker/dockerfile:1
# clipcli on CPUs, with the `pocket` model inside; it needs no network when it runs:
#
#     docker build -t clipcli .
#     docker run --rm --network none -v "$PWD:/data" -u "$(id -u):$(id -g)" clipcli classify photos -l cat -l dog
FROM python:3.12-slim AS build
WORKDIR /project
COPY . .
RUN pip install --no-cache-dir build && python -m build --wheel --outdir /dist

FROM python:3.12-slim
COPY --from=build /dist /dist
# The CPU builds of torch, an eighth of the size of those for CUDA; the rest comes from PyPI.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN pip install --no-cache-dir --index-url ${TORCH_INDEX} torch torchvision \
 && pip install --no-cache-dir "$(echo /dist/clipcli-*.whl)[evaluate,heif,parquet,serve]" \
 && rm -r /dist
ENV CLIPCLI_MODEL=pocket CLIPCLI_CACHE_DIR=/cache
RUN install --directory --mode 1777 /cache
WORKDIR /data
ENTRYPOINT ["clipcli"]
CMD ["--help"]
