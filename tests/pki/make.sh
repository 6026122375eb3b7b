#!/bin/sh
# Makes the certificates of the tests again, all of them. They last a hundred years, but for the two
# that have expired: `consul tls` makes none of those. One key serves for server and clients.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

key() { openssl ecparam -name "$1" -genkey -noout; }

key prime256v1 >key-sec1.pem
openssl pkcs8 -topk8 -nocrypt -in key-sec1.pem -out key.pem
openssl pkcs8 -topk8 -in key.pem -passout pass:secret -out key-encrypted.pem
key secp521r1 >key-p521.pem
openssl genrsa -traditional -out key-rsa.pem 2048

key prime256v1 >"$work/ca.key"
cat >"$work/ca.conf" <<CONF
[ca]
default_ca = tests
[tests]
database = $work/index
new_certs_dir = $work
rand_serial = yes
unique_subject = no
default_md = sha256
policy = anything
copy_extensions = copy
[anything]
commonName = supplied
CONF
: >"$work/index"

# certificate NAME START END KEY SUBJECT [HOW]: NAME.pem, by the authority unless HOW says otherwise
certificate() {
  openssl req -new -key "$4" -subj "/CN=$5" -out "$work/request" \
    -addext "subjectAltName=DNS:$5,DNS:localhost,IP:127.0.0.1" ${6:+-addext "basicConstraints=critical,CA:TRUE"}
  openssl ca -batch -notext -config "$work/ca.conf" -in "$work/request" -out "$1.pem" \
    -startdate "$2" -enddate "$3" ${6:--cert ca.pem -keyfile "$work/ca.key"} 2>/dev/null
}

begin=20200101000000Z
certificate ca $begin 21200101000000Z "$work/ca.key" ca.consul "-selfsign -keyfile $work/ca.key"
certificate stranger $begin 21200101000000Z key-rsa.pem stranger.consul "-selfsign -keyfile key-rsa.pem"
certificate server $begin 21200101000000Z key.pem server.dc1.consul
certificate server-expired $begin 20200102000000Z key.pem server.dc1.consul
certificate client $begin 21200101000000Z key.pem client.dc1.consul
certificate client-expired $begin 20200102000000Z key.pem client.dc1.consul
chmod 644 ./*.pem
