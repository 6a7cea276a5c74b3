#!/bin/sh
# Installs Debian's Chromium, with which CI looks at our pages: as root, where there is none. Without one, tests skip.
if ! command -v chromium >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "==> installing Chromium for the tests of pages"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium; } \
        >/dev/null || echo "no Chromium could be installed: tests of pages will be skipped" >&2
fi
