#!/bin/sh
# Runs a command with nothing but the loopback for a network, where the system allows that; elsewhere as it is.
if unshare -rn ip link set lo up 2>/dev/null; then
    exec unshare -rn sh -c 'ip link set lo up && exec "$@"' -- "$@"
fi
exec "$@"
