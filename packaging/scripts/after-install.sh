#!/bin/sh
# After an installation nothing is started: it has to be configured first. After an upgrade, what runs goes on
# with the new program. dpkg says `configure OLD-VERSION`, and rpm says how many versions there are.
set -e

[ -d /run/systemd/system ] || exit 0
systemctl daemon-reload || true
case "$1 $2" in
  configure\ ?* | [2-9]*)
    # A stop would hand the lock to another host. systemd starts another process at once after a kill, and that
    # goes on with the lock; the address stays where it is.
    for unit in $(systemctl list-units --plain --no-legend --state=active \
      'vip-elector.service' 'vip-elector@*.service' | cut -d ' ' -f 1); do
      systemctl kill --kill-who=main --signal=KILL "$unit" || true
    done
    ;;
esac
