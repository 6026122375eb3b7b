# /etc/consul.d/vip-guard.hcl: the health that leadership hangs on.
#
# When the check goes critical, Consul ends the session that vip-elector bound to it, and with it the
# leadership. The check should say whether this host can do what the virtual IP is for.

service {
  name = "vip-guard"
  check {
    id       = "vip-http"
    name     = "VIP health"
    http     = "http://127.0.0.1:9000/healthz"
    interval = "2s"
    timeout  = "1s"
  }
}
