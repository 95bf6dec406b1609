# syntax=docker/dockerfile:1

# One image for web, worker and migrations: the command tells which. It runs as an ordinary user and holds neither a
# compiler nor test tools nor database servers.

FROM python:3.13-slim-bookworm AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PYTHONDONTWRITEBYTECODE=1
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
# Before the code, so that a change of code leaves this layer alone.
COPY requirements/production.lock /tmp/production.lock
RUN pip install --require-hashes --no-deps -r /tmp/production.lock
WORKDIR /srv/hub
COPY manage.py ./
COPY config config
COPY shared shared
COPY apps apps
COPY templates templates
# The names of the collected files hold their hashes, as in production. The secrets are of this one command.
RUN HUB_ENV=production \
    DATA_DIR=/srv/data \
    SECRET_KEY="$(python -c 'import secrets; print(secrets.token_urlsafe(64))')" \
    JWT_PRIVATE_KEY="$(python -c 'from shared.embedded.keep import new_signing_key; print(new_signing_key())')" \
    DATABASE_URL=postgresql://hub_app@nowhere/hub \
    REDIS_URL=redis://nowhere:6379/0 \
    ALLOWED_HOSTS=localhost \
    PUBLIC_URL=http://localhost:8000 \
    python manage.py collectstatic --no-input --verbosity=0


FROM python:3.13-slim-bookworm

RUN groupadd --system --gid 10001 hub && useradd --system --uid 10001 --gid hub --no-create-home hub
COPY --from=build /opt/venv /opt/venv
COPY --from=build /srv/hub /srv/hub
COPY --from=build /srv/data/static /srv/data/static
# The only folder that the hub writes to, besides /tmp. A volume mounted here takes its owner over.
RUN install -d -o hub -g hub -m 0700 /srv/data/media

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HUB_ENV=production \
    DATA_DIR=/srv/data \
    PORT=8000
WORKDIR /srv/hub
USER hub
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=6s --start-period=30s --retries=3 CMD ["python", "-m", "shared.embedded.probe"]
CMD ["python", "-m", "shared.embedded.web"]
