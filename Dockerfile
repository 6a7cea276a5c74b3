# lrcn serve. Build: docker build -t lrcn .    Run: docs/serving.md#in-a-container
FROM python:3.12.11-slim-bookworm

# The lock holds the versions that the tests ran with, also of what the packages bring along.
COPY requirements-ci.lock pyproject.toml README.md CHANGELOG.md LICENSE NOTICE /src/
COPY configs /src/configs
COPY src /src/src
# The other index has torch without CUDA: 200 MB in place of 3 GB. For a GPU leave it out.
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu \
        --constraint /src/requirements-ci.lock "/src[serve]" \
 && rm -rf /src \
 && useradd --system --create-home --uid 10001 lrcn

USER lrcn
WORKDIR /home/lrcn
ENV PYTHONUNBUFFERED=1
EXPOSE 8000
# A model's process takes a while to start: /health says that the server runs, /ready that its models answer.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["lrcn", "serve"]
CMD ["demo", "--host", "0.0.0.0"]
