use super::*;
use crate::doctor::report::Level;
use crate::doctor::tests::{self, Bad, assert_alone};
use crate::vip::announce::Announcing;

fn own(text: &str, interface: &str) -> Own {
    let (address, prefix) = text.split_once('/').unwrap();
    Own {
        address: address.parse().unwrap(),
        prefix: prefix.parse().unwrap(),
        interface: interface.to_owned(),
    }
}

/// A standby of a group that another host leads.
fn good() -> Facts {
    Facts {
        vip: vip("192.0.2.200", 24),
        link: Some(Link {
            up: true,
            ethernet: true,
        }),
        addresses: vec![own("127.0.0.1/8", "lo"), own("192.0.2.1/24", "eth0")],
        carried: None,
        daemon: Some(7),
        leader: Some(("web2".to_owned(), false)),
        answers: None,
        arp_ignore: Some(0),
        promote_secondaries: Some(false),
        ipv6_disabled: Some(false),
        named_in: Vec::new(),
        configured_by: None,
    }
}

fn vip(address: &str, prefix: u8) -> Vip {
    let address = address.parse().unwrap();
    Vip {
        address,
        prefix,
        interface: "eth0".to_owned(),
        label: None,
        announcing: Announcing::of(address),
    }
}

fn bad(facts: &Facts) -> Vec<Bad> {
    tests::bad(|findings| judge(facts, findings))
}

fn carried(interface: &str, ours: bool) -> Option<Carried> {
    Some(Carried {
        interface: interface.to_owned(),
        ours,
    })
}

#[test]
fn what_is_as_it_should_be() {
    let leading = Facts {
        carried: carried("eth0", true),
        leader: Some(("web1".to_owned(), true)),
        ..good()
    };
    let nobody = Facts {
        leader: None,
        daemon: None,
        answers: Some(false),
        ..good()
    };
    let version_6 = Facts {
        vip: vip("2001:db8::200", 64),
        addresses: vec![own("2001:db8::1/64", "eth0"), own("fe80::1/64", "eth0")],
        ..good()
    };
    // The kernel's own setting, where another interface has the same network.
    let two = Facts {
        addresses: vec![own("192.0.2.2/24", "eth1"), own("192.0.2.1/24", "eth0")],
        configured_by: Some("NetworkManager"),
        ..good()
    };
    for facts in [good(), leading, nobody, version_6, two] {
        assert_eq!(bad(&facts), [], "{facts:?}");
    }
}

#[test]
fn what_is_wrong_and_how_much() {
    let (problem, warning) = (Level::Problem, Level::Warning);
    let down = Link {
        up: false,
        ethernet: true,
    };
    let tunnel = Link {
        up: true,
        ethernet: false,
    };
    let addressed = |addresses: &[(&str, &str)]| Facts {
        addresses: addresses
            .iter()
            .map(|(text, interface)| own(text, interface))
            .collect(),
        promote_secondaries: Some(true),
        ..good()
    };
    let rows = [
        (
            Facts {
                link: None,
                ..good()
            },
            problem,
            "interface",
            "no interface eth0",
        ),
        (
            Facts {
                link: Some(down),
                ..good()
            },
            problem,
            "interface",
            "is down",
        ),
        (
            Facts {
                link: Some(tunnel),
                ..good()
            },
            warning,
            "interface",
            "no Ethernet",
        ),
        (
            addressed(&[("192.0.2.1/20", "eth0")]),
            warning,
            "network",
            "netmask is 24, and eth0 has 192.0.2.1/20",
        ),
        (
            addressed(&[("198.51.100.1/24", "eth0"), ("192.0.2.1/24", "eth1")]),
            problem,
            "network",
            "on eth1, and not on eth0",
        ),
        (
            addressed(&[("198.51.100.1/24", "eth0"), ("192.0.2.1/32", "eth1")]),
            warning,
            "network",
            "no address of eth0 is in the network",
        ),
        (
            Facts {
                vip: vip("192.0.2.255", 24),
                ..good()
            },
            problem,
            "network",
            "broadcast",
        ),
        (
            Facts {
                vip: vip("192.0.2.0", 24),
                ..good()
            },
            problem,
            "network",
            "broadcast",
        ),
        (
            Facts {
                carried: carried("eth0", false),
                ..good()
            },
            problem,
            "address",
            "vip-elector did not put it there",
        ),
        (
            Facts {
                carried: carried("eth0", true),
                ..good()
            },
            warning,
            "address",
            "this host does not lead",
        ),
        (
            Facts {
                carried: carried("eth0", true),
                daemon: None,
                ..good()
            },
            warning,
            "address",
            "runs no more",
        ),
        (
            Facts {
                leader: Some(("web1".to_owned(), true)),
                ..good()
            },
            problem,
            "address",
            "has not the address",
        ),
        (
            Facts {
                leader: None,
                answers: Some(true),
                ..good()
            },
            problem,
            "address",
            "somebody on the network has 192.0.2.200",
        ),
        (
            Facts {
                named_in: vec![("/etc/netplan/a.yaml".to_owned(), 3)],
                ..good()
            },
            problem,
            "rivals",
            "/etc/netplan/a.yaml line 3 names 192.0.2.200",
        ),
        (
            Facts {
                arp_ignore: Some(8),
                ..good()
            },
            problem,
            "kernel",
            "answers no ARP",
        ),
        (
            Facts {
                vip: vip("2001:db8::200", 64),
                addresses: vec![own("2001:db8::1/64", "eth0")],
                ipv6_disabled: Some(true),
                ..good()
            },
            problem,
            "kernel",
            "has no IPv6",
        ),
    ];
    for (facts, level, about, words) in rows {
        let found = bad(&facts);
        assert_alone(&found, level, about, words);
    }
}

#[test]
fn a_network_of_its_own_wants_the_kernel_to_keep_secondaries() {
    let alone = Facts {
        addresses: vec![own("198.51.100.1/24", "eth0")],
        ..good()
    };
    let found: Vec<_> = bad(&alone).into_iter().map(|(_, about, _)| about).collect();
    assert_eq!(found, ["network", "network"]);
}
