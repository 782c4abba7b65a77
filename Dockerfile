# One image for both services and the emulators; the command chooses. It runs read-only and needs no privileges.
# A mirror or certificates of an organisation belong in a custom base image: --build-arg BASE=…
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
# --build-arg LOCK=requirements-traces.txt adds OpenTelemetry (docs/how-to/observability.md).
ARG LOCK=requirements.txt
WORKDIR /src
ENV PIP_NO_CACHE_DIR=1
COPY ${LOCK} requirements-build.txt ./
# All wheels are built here, from the locks; the build tools stay out of the final image.
RUN pip install --require-hashes -r requirements-build.txt \
    && pip wheel --no-build-isolation --require-hashes --no-deps --wheel-dir /dist -r ${LOCK}
COPY pyproject.toml README.md LICENSE ./
COPY protos/gen protos/gen
COPY kernel_service kernel_service
COPY whatsapp_gateway whatsapp_gateway
COPY kernel_client kernel_client
COPY serving serving
COPY kernelctl kernelctl
COPY emulators emulators
COPY local_run local_run
RUN pip wheel --no-build-isolation --no-deps --wheel-dir /dist . \
    && python -m venv --without-pip /venv \
    && pip --python /venv/bin/python install --no-deps --no-index /dist/*.whl

FROM ${BASE}
RUN useradd --system --uid 10001 --home-dir /app --create-home app \
    && install --directory --owner app --mode 700 /tls/private \
    && install --directory --owner app /tls/public \
    && install --directory --owner app --mode 700 /clock
COPY --from=build /venv /venv
COPY deploy/probe /usr/local/bin/probe
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1
USER app
WORKDIR /app
# The first process kills the service when it hangs, and ends with it: the container is then restarted.
CMD ["python", "-m", "serving.supervise", "kernel_service"]
