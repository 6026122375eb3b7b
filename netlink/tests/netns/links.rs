//! Interfaces, their settings, and word of changes.

use tokio::time::timeout;
use vip_netlink::{Lifetime, Link, Mac, Netlink, ipv6_forwarding, promote_secondaries};

use crate::world::{MAC, Outcome, PATIENCE, World, host, link, until};

pub(crate) async fn removal_wakes(world: World) -> Outcome {
    let netlink = Netlink::open()?;
    let eth0 = link(&netlink, "eth0").await?;
    for vip in [host("192.0.2.9")?, host("2001:db8::9")?] {
        netlink.add(&eth0, vip, Lifetime::unlimited())?;
        let mut changes = netlink.changes("eth0", vip.address());
        world
            .host
            .ip(&["address", "delete", &vip.to_string(), "dev", "eth0"])?;
        timeout(PATIENCE, changes.next()).await??;
        assert!(
            !netlink
                .addresses(&eth0)
                .await?
                .iter()
                .any(|one| one.is(vip))
        );
    }
    Ok(())
}

pub(crate) async fn carrier_wakes(world: World) -> Outcome {
    let netlink = Netlink::open()?;
    assert!(link(&netlink, "eth0").await?.carrier);
    let mut changes = netlink.changes("eth0", "192.0.2.9".parse()?);
    world.peer.ip(&["link", "set", "eth0", "down"])?;
    loop {
        timeout(PATIENCE, changes.next()).await??;
        if !link(&netlink, "eth0").await?.carrier {
            return Ok(());
        }
    }
}

pub(crate) async fn waiting_ends(_world: World) -> Outcome {
    let netlink = Netlink::open()?;
    let mut changes = netlink.changes("eth0", "192.0.2.9".parse()?);
    drop(netlink);
    let ended = timeout(PATIENCE, changes.next()).await?;
    assert!(ended.is_err_and(|error| error.is_disconnected()));
    Ok(())
}

pub(crate) async fn missing(world: World) -> Outcome {
    let netlink = Netlink::open()?;
    for name in ["eth7", "", "a-name-that-is-too-long-for-an-interface"] {
        assert_eq!(netlink.link(name).await?, None, "{name}");
    }
    world.host.ip(&[
        "link", "property", "add", "dev", "eth0", "altname", "uplink",
    ])?;
    assert_eq!(link(&netlink, "uplink").await?.name, "eth0");
    Ok(())
}

pub(crate) async fn flags(world: World) -> Outcome {
    let netlink = Netlink::open()?;
    let eth0 = link(&netlink, "eth0").await?;
    assert_eq!(eth0.name, "eth0");
    assert_eq!(eth0.mac, Some(Mac(MAC)));
    let index = world.host.ip(&["-o", "link", "show", "dev", "eth0"])?;
    assert!(
        index.starts_with(&format!("{}: eth0@", eth0.index)),
        "{index}"
    );
    assert_eq!(link(&netlink, "lo").await?.mac, None);

    // What is done to which end, and what `eth0` then is: up, with a carrier, with ARP.
    let steps = [
        (&world.host, "up", (true, true, true)),
        (&world.peer, "down", (true, false, true)),
        (&world.host, "down", (false, false, true)),
        (&world.peer, "up", (false, false, true)),
        (&world.host, "up", (true, true, true)),
    ];
    for (namespace, state, expected) in steps {
        namespace.ip(&["link", "set", "eth0", state])?;
        // The kernel tells of a carrier a moment later.
        let flags = |link: &Link| (link.up, link.carrier, link.arp);
        until(&netlink, |tables| {
            tables.link("eth0").map(flags) == Some(expected)
        })
        .await
        .map_err(|error| format!("{} {state}: {error}", namespace.name()))?;
    }
    world.host.ip(&["link", "set", "eth0", "arp", "off"])?;
    assert!(!link(&netlink, "eth0").await?.arp);
    Ok(())
}

pub(crate) async fn settings(world: World) -> Outcome {
    // Setting of `all`, setting of the interface, what the kernel does.
    for (all, own, expected) in [
        ("0", "0", false),
        ("1", "0", true),
        ("0", "1", true),
        ("1", "1", true),
    ] {
        world
            .host
            .sysctl("net/ipv4/conf/all/promote_secondaries", all)?;
        world
            .host
            .sysctl("net/ipv4/conf/eth0/promote_secondaries", own)?;
        assert_eq!(
            promote_secondaries("eth0"),
            Some(expected),
            "all {all}, eth0 {own}"
        );
    }
    assert_eq!(ipv6_forwarding("eth0"), Some(false));
    world.host.sysctl("net/ipv6/conf/eth0/forwarding", "1")?;
    assert_eq!(ipv6_forwarding("eth0"), Some(true));
    assert_eq!(ipv6_forwarding("eth7"), None);
    Ok(())
}
