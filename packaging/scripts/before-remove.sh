#!/bin/sh
# A removal stops what runs, which takes the address off and hands the lock over; an upgrade does not. dpkg
# says `remove`, and rpm says how many versions will be left.
set -e

case "$1" in
  remove | 0)
    if [ -d /run/systemd/system ]; then
      systemctl stop 'vip-elector.service' 'vip-elector@*.service' || true
    fi
    ;;
esac
