//! The ACL policy that a configuration needs.

use vip_elector::acl;

use super::Host;

fn policy(host: Host) -> String {
    acl::policy(&host.good())
}

#[test]
fn of_the_usual_configuration() {
    insta::assert_snapshot!(policy(Host::minimal("").argument("--check-id=vip-http")));
}

#[test]
fn of_a_watched_check_and_two_groups() {
    let host = Host::with_two_files("trigger-key: db/leader\n", "trigger-key: web/leader\n")
        .argument("--check-id=vip-http")
        .argument("--check-mode=watch")
        .argument("--peer-watch=off");
    insta::assert_snapshot!(policy(host));
}

#[test]
fn of_the_barest_configuration() {
    let host = Host::minimal("").argument("--liveness-ttl=0s");
    insta::assert_snapshot!(policy(host));
}
