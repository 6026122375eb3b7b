#!/bin/bash
# Makes a Debian machine one of the three: a Consul server, a health endpoint, vip-elector from its package.
#
#   provision.sh VIP OWN-ADDRESS ADDRESS...
#
# Expects in /tmp/vip-elector: the package (vip-elector.deb), and, unless it is to be fetched, Consul
# (consul). May be run again, also with a newer package.
set -euo pipefail

CONSUL_VERSION=1.21.2
FILES=/tmp/vip-elector
EXAMPLES=/usr/share/doc/vip-elector/examples

vip=$1
own=$2
shift 2
servers=("$@")

interface=$(ip -o -4 address show to "$own/32" | awk '{ print $2; exit }')
if [[ -z $interface ]]; then
  echo "no interface of this machine has the address $own" >&2
  exit 1
fi

install_packages() {
  local packages=(python3)
  [[ -x $FILES/consul ]] || packages+=(curl unzip)
  if ! dpkg-query --show "${packages[@]}" > /dev/null 2>&1; then
    apt-get -q update
    DEBIAN_FRONTEND=noninteractive apt-get -qy install --no-install-recommends "${packages[@]}"
  fi
}

install_consul() {
  if [[ -x $FILES/consul ]]; then
    install -m 755 "$FILES/consul" /usr/local/bin/consul
    return
  fi
  local zip base
  zip=consul_${CONSUL_VERSION}_linux_$(dpkg --print-architecture).zip
  base=https://releases.hashicorp.com/consul/$CONSUL_VERSION
  (
    cd "$(mktemp -d)" &&
      curl -fsSLO "$base/$zip" &&
      curl -fsSL "$base/consul_${CONSUL_VERSION}_SHA256SUMS" | grep " $zip\$" | sha256sum --check --quiet &&
      unzip -q "$zip" consul &&
      install -m 755 consul /usr/local/bin/consul
  ) || {
    echo "cannot fetch Consul $CONSUL_VERSION from $base: set CONSUL_BIN to the path of one that you have" >&2
    exit 1
  }
}

configure_consul() {
  local join
  join=$(printf '"%s", ' "${servers[@]}")
  id consul > /dev/null 2>&1 || useradd --system --home-dir /var/lib/consul --shell /usr/sbin/nologin consul
  install -d -o consul -g consul /var/lib/consul
  install -d /etc/consul.d
  install -m 644 "$EXAMPLES/vip-guard.hcl" /etc/consul.d/
  cat > /etc/consul.d/server.hcl << HCL
server           = true
bootstrap_expect = ${#servers[@]}
data_dir         = "/var/lib/consul"
bind_addr        = "$own"
client_addr      = "127.0.0.1"
retry_join       = [${join%, }]
# Detect a dead Consul leader in a second or two: fine where the machines are near each other.
performance { raft_multiplier = 1 }
HCL
  cat > /etc/systemd/system/consul.service << 'UNIT'
[Unit]
Description=Consul
After=network-online.target
Wants=network-online.target

[Service]
User=consul
ExecStart=/usr/local/bin/consul agent -config-dir=/etc/consul.d
Restart=always

[Install]
WantedBy=multi-user.target
UNIT
}

# To see a check fail: rm /srv/health/healthz
configure_health() {
  install -d /srv/health
  echo ok > /srv/health/healthz
  cat > /etc/systemd/system/vip-health.service << 'UNIT'
[Unit]
Description=The health endpoint that leadership hangs on

[Service]
DynamicUser=yes
ExecStart=/usr/bin/python3 -m http.server 9000 --bind 127.0.0.1 --directory /srv/health
Restart=always

[Install]
WantedBy=multi-user.target
UNIT
}

# What an operator does after the package is installed: fill in the file, and let it hold the address.
configure_elector() {
  # The settings stand there as comments.
  sed -i -e 's/^\( *\)#\([a-z-]*:\)/\1\2/' \
    -e "s/^ip:.*/ip: $vip/" -e "s/^interface:.*/interface: $interface/" /etc/vip-elector/vip.yml
  install -D -m 644 "$EXAMPLES/vip-elector.service.d/manage-vip.conf" \
    /etc/systemd/system/vip-elector@.service.d/manage-vip.conf
  vip-elector check-config --vip-manager-config=/etc/vip-elector/vip.yml > /dev/null
}

# Nothing is stopped that runs: another run with a newer package is an upgrade, and moves no address.
start() {
  systemctl daemon-reload
  systemctl enable --quiet --now consul vip-health vip-elector@vip
}

install_packages
install_consul
dpkg --install --force-confold "$FILES/vip-elector.deb"
configure_consul
configure_health
configure_elector
start
