# syntax=docker/dockerfile:1
# The operator as an image: its wheel with the pinned dependencies, in a virtual environment, run by nobody in particular.
# Extras (docs/volumes.md) are left out unless they are asked for: docker build --build-arg EXTRAS=aws,azure

FROM python:3.13-slim AS build
ARG EXTRAS=
WORKDIR /build
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
COPY operator operator
COPY runtime runtime
COPY config/samples config/samples
RUN python -m pip wheel --no-cache-dir --no-deps --wheel-dir /wheels . \
 && python -m venv /opt/tikv-operator \
 && /opt/tikv-operator/bin/python -m pip install --no-cache-dir --constraint constraints.txt \
        "$(ls /wheels/*.whl)${EXTRAS:+[$EXTRAS]}"

FROM python:3.13-slim
COPY --from=build /opt/tikv-operator /opt/tikv-operator
ENV PATH=/opt/tikv-operator/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 65532:65532
EXPOSE 8080 8081
ENTRYPOINT ["tikv-operator"]
CMD ["run", "--log-format=json"]
