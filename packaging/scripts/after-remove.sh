#!/bin/sh
# dpkg keeps configuration after `remove`, and what was enabled is a part of it; after `purge`, and with rpm,
# nothing is left. What the administrator put below /etc/systemd stays.
set -e

case "$1" in
  purge | 0)
    rm -f /etc/systemd/system/multi-user.target.wants/vip-elector.service \
      /etc/systemd/system/multi-user.target.wants/vip-elector@*.service
    ;;
esac
if [ "$1" = purge ]; then
  rm -rf /etc/vip-elector
fi
case "$1" in
  remove | purge | 0)
    if [ -d /run/systemd/system ]; then
      systemctl daemon-reload || true
    fi
    ;;
esac
