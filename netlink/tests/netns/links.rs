//! Interfaces, their settings, and word of changes.

use std::time::Duration;

use tokio::time::timeout;
use vip_netlink::{Lifetime, Mac, Netlink, ipv6_forwarding, promote_secondaries};

use crate::world::{MAC, Outcome, World, host, link};

const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) async fn removal_wakes(world: World) -> Outcome {
    let netlink = Netlink::open()?;
    let eth0 = link(&netlink, "eth0").await?;
    for vip in [host("192.0.2.9")?, host("2001:db8::9")?] {
        netlink.add(&eth0, vip, Lifetime::unlimited()).await?;
        let mut changes = netlink.changes();
        world
            .host
            .ip(&["address", "delete", &vip.to_string(), "dev", "eth0"])?;
        loop {
            timeout(PATIENCE, changes.next()).await??;
            if !netlink
                .addresses(&eth0)
                .await?
                .iter()
                .any(|address| address.is(vip))
            {
                break;
            }
        }
    }
    Ok(())
}

pub(crate) async fn carrier_wakes(world: World) -> Outcome {
    let netlink = Netlink::open()?;
    assert!(link(&netlink, "eth0").await?.carrier);
    let mut changes = netlink.changes();
    world.peer.ip(&["link", "set", "eth0", "down"])?;
    loop {
        timeout(PATIENCE, changes.next()).await??;
        if !link(&netlink, "eth0").await?.carrier {
            return Ok(());
        }
    }
}

pub(crate) async fn overrun_wakes(world: World) -> Outcome {
    let netlink = Netlink::open()?;
    let mut changes = netlink.changes();
    // This thread runs the reading task too, so it reads nothing meanwhile.
    let churn: String = (0..2000)
        .map(|_| "address add 198.51.100.1/32 dev lo\naddress delete 198.51.100.1/32 dev lo\n")
        .collect();
    let file = std::env::temp_dir().join(format!("{}-churn", world.host.name()));
    std::fs::write(&file, churn)?;
    let batch = world.host.ip(&["-batch", &file.to_string_lossy()]);
    std::fs::remove_file(&file)?;
    batch?;
    let sockets = std::fs::read_to_string("/proc/thread-self/net/netlink")?;
    let dropped = sockets
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().nth(8));
    assert!(
        dropped.into_iter().any(|count| count != "0"),
        "no overrun: {sockets}"
    );

    timeout(PATIENCE, changes.next()).await??;
    // It still listens.
    let eth0 = link(&netlink, "eth0").await?;
    let vip = host("192.0.2.9")?;
    netlink.add(&eth0, vip, Lifetime::unlimited()).await?;
    let mut changes = netlink.changes();
    world
        .host
        .ip(&["address", "delete", &vip.to_string(), "dev", "eth0"])?;
    loop {
        timeout(PATIENCE, changes.next()).await??;
        if !netlink
            .addresses(&eth0)
            .await?
            .iter()
            .any(|address| address.is(vip))
        {
            return Ok(());
        }
    }
}

pub(crate) async fn waiting_ends(_world: World) -> Outcome {
    let netlink = Netlink::open()?;
    let mut changes = netlink.changes();
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
        let now = link(&netlink, "eth0").await?;
        assert_eq!(
            (now.up, now.carrier, now.arp),
            expected,
            "{} {state}",
            namespace.name()
        );
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
