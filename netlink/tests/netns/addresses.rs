//! Adding, refreshing and removing.

use std::net::UdpSocket;
use std::time::Duration;

use vip_netlink::{Error, Lifetime, Netlink, PROTOCOL_MARK, Removed, Vip, prefix_for};

use crate::monitor::Monitor;
use crate::world::{FOREVER, Outcome, World, host, link, seconds, vip};

pub(crate) async fn has_its_lifetime(world: World) -> Outcome {
    let netlink = Netlink::open()?;
    let eth0 = link(&netlink, "eth0").await?;
    for (vip, lifetime, expected) in [
        (host("192.0.2.9")?, Lifetime::MAX, 10..=15),
        (host("2001:db8::9")?, Lifetime::MAX, 10..=15),
        (
            host("192.0.2.10")?,
            Lifetime::unlimited(),
            FOREVER..=FOREVER,
        ),
        (
            host("2001:db8::10")?,
            Lifetime::unlimited(),
            FOREVER..=FOREVER,
        ),
    ] {
        netlink.add(&eth0, vip, lifetime)?;
        let seen = world.there(vip)?;
        let valid = seen["valid_life_time"].as_u64().ok_or("no lifetime")?;
        assert!(expected.contains(&valid), "{seen}");
        if vip.address().is_ipv4() {
            assert_eq!(
                seen["preferred_life_time"], seen["valid_life_time"],
                "{seen}"
            );
        }
        let addresses = netlink.addresses(&eth0).await?;
        let own = addresses
            .iter()
            .find(|address| address.is(vip))
            .ok_or("not listed")?;
        let infinite = expected.contains(&FOREVER);
        assert_eq!(own.valid.is_none(), infinite, "{own:?}");
        assert!(
            own.valid
                .is_none_or(|valid| valid <= Duration::from_secs(15)),
            "{own:?}"
        );
    }
    Ok(())
}

pub(crate) async fn usable_at_once(world: World) -> Outcome {
    // The control: an address that is added the usual way has to wait for detection.
    world
        .host
        .ip(&["address", "add", "2001:db8::8/128", "dev", "eth0"])?;
    let usual = host("2001:db8::8")?;
    assert_eq!(world.there(usual)?["tentative"], true);
    assert!(UdpSocket::bind((usual.address(), 0)).is_err());
    let netlink = Netlink::open()?;
    let eth0 = link(&netlink, "eth0").await?;
    let listed = netlink.addresses(&eth0).await?;
    assert!(
        listed
            .iter()
            .any(|address| address.is(usual) && address.tentative)
    );

    let vip = host("2001:db8::9")?;
    netlink.add(&eth0, vip, Lifetime::MAX)?;
    UdpSocket::bind((vip.address(), 0))?;
    let seen = world.there(vip)?;
    assert!(seen.get("tentative").is_none(), "{seen}");
    assert_eq!(seen["nodad"], true, "{seen}");
    assert_eq!(seen["preferred_life_time"], 0, "{seen}");
    let listed = netlink.addresses(&eth0).await?;
    assert!(
        listed
            .iter()
            .any(|address| address.is(vip) && !address.tentative)
    );

    let route = world.host.ip(&["-6", "route", "get", "2001:db8::2"])?;
    assert!(route.contains("src 2001:db8::1 "), "{route}");
    Ok(())
}

pub(crate) async fn leaves_static_alone(world: World) -> Outcome {
    let netlink = Netlink::open()?;
    let eth0 = link(&netlink, "eth0").await?;
    for vip in [host("192.0.2.9")?, host("2001:db8::9")?] {
        world
            .host
            .ip(&["address", "add", &vip.to_string(), "dev", "eth0", "nodad"])?;
        let before = world.there(vip)?;
        assert_eq!(before["valid_life_time"], FOREVER);
        let error = netlink.add(&eth0, vip, Lifetime::MAX);
        assert!(
            matches!(error, Err(Error::AlreadyThere { .. })),
            "{error:?}"
        );
        assert_eq!(world.there(vip)?, before);
        // Of an address without detection the kernel tells a moment later.
        let later = Netlink::open()?;
        let listed = later.addresses(&eth0).await?;
        assert!(
            listed
                .iter()
                .any(|address| address.is(vip) && !address.is_ours())
        );
    }
    Ok(())
}

pub(crate) async fn expires(world: World) -> Outcome {
    let monitor = Monitor::start(&world.host)?;
    let (v4, v6) = (host("192.0.2.9")?, host("2001:db8::9")?);
    {
        let netlink = Netlink::open()?;
        let eth0 = link(&netlink, "eth0").await?;
        netlink.add(&eth0, v4, seconds(1)?)?;
        netlink.add(&eth0, v6, seconds(1)?)?;
    }
    // Nobody is left who would remove them.
    monitor.wait_for(&["Deleted", "eth0"])?;
    monitor.wait_for(&["Deleted", "eth0"])?;
    assert_eq!(world.witness(v4)?, None);
    assert_eq!(world.witness(v6)?, None);
    Ok(())
}

pub(crate) async fn refreshes_in_place(world: World) -> Outcome {
    let netlink = Netlink::open()?;
    let eth0 = link(&netlink, "eth0").await?;
    let vips = [host("192.0.2.9")?, host("2001:db8::9")?];
    for vip in vips {
        netlink.add(&eth0, vip, Lifetime::MAX)?;
    }
    let mut monitor = Monitor::start(&world.host)?;
    for lifetime in [6, 15, 7, 15] {
        for vip in vips {
            netlink.refresh(&eth0, vip, seconds(lifetime)?)?;
            let seen = world.there(vip)?;
            let valid = seen["valid_life_time"].as_u64().ok_or("no lifetime")?;
            assert!(
                (lifetime - 4..=lifetime).contains(&valid),
                "{lifetime}: {seen}"
            );
            assert!(seen.get("tentative").is_none(), "{seen}");
        }
    }
    let told = monitor.so_far()?;
    assert!(
        told.iter().any(|line| line.contains("192.0.2.9/32")),
        "{told:?}"
    );
    assert!(
        told.iter().any(|line| line.contains("2001:db8::9/128")),
        "{told:?}"
    );
    assert!(
        !told.iter().any(|line| line.contains("Deleted")),
        "{told:?}"
    );

    // The control: a removal is told.
    netlink.remove(&eth0, vips[0])?;
    monitor.wait_for(&["Deleted", "192.0.2.9/32"])?;
    Ok(())
}

/// The kernel adds what it is told to prolong and does not find, unless it cannot.
pub(crate) async fn stays_gone(world: World) -> Outcome {
    let netlink = Netlink::open()?;
    let eth0 = link(&netlink, "eth0").await?;
    let vips = [host("192.0.2.9")?, host("2001:db8::9")?];
    let monitor = Monitor::start(&world.host)?;
    for vip in vips {
        let groups = || world.host.ip(&["maddress", "show", "dev", "eth0"]);
        netlink.add(&eth0, vip, seconds(9)?)?;
        let before = groups()?;
        netlink.refresh(&eth0, vip, seconds(1)?)?;
        assert_eq!(groups()?, before, "{vip}");
        monitor.wait_for(&["Deleted", &vip.to_string()])?;
        // It has expired; it has been removed.
        let expired = netlink.refresh(&eth0, vip, seconds(9)?);
        netlink.add(&eth0, vip, seconds(9)?)?;
        netlink.remove(&eth0, vip)?;
        let removed = netlink.refresh(&eth0, vip, seconds(9)?);
        for answer in [expired, removed] {
            assert!(matches!(answer, Err(Error::NotThere { .. })), "{answer:?}");
        }
        assert_eq!(world.witness(vip)?, None);
        let seen = netlink.look(|tables| tables.at(eth0.index, vip.address()).count());
        assert_eq!(seen.await?, 0);
    }
    Ok(())
}

pub(crate) async fn removes_exactly(world: World) -> Outcome {
    let netlink = Netlink::open()?;
    let eth0 = link(&netlink, "eth0").await?;
    let (single, shared) = (host("192.0.2.9")?, vip("192.0.2.9", 24)?);
    world
        .host
        .ip(&["address", "add", "192.0.2.9/24", "dev", "eth0"])?;
    assert_eq!(netlink.remove(&eth0, single)?, Removed::WasAbsent);
    world.there(shared)?;
    // IPv4 allows the same address twice, so an exclusive add is no proof that it is free.
    netlink.add(&eth0, single, Lifetime::MAX)?;
    world.there(single)?;
    assert_eq!(netlink.remove(&eth0, single)?, Removed::Yes);
    assert_eq!(world.witness(single)?, None);
    assert_eq!(world.there(shared)?["valid_life_time"], FOREVER);
    assert_eq!(netlink.remove(&eth0, single)?, Removed::WasAbsent);

    world
        .host
        .ip(&["address", "add", "2001:db8::9/64", "dev", "eth0", "nodad"])?;
    let (single, shared) = (host("2001:db8::9")?, vip("2001:db8::9", 64)?);
    assert_eq!(netlink.remove(&eth0, single)?, Removed::WasAbsent);
    world.there(shared)?;
    assert_eq!(netlink.remove(&eth0, shared)?, Removed::Yes);
    assert_eq!(world.witness(shared)?, None);
    Ok(())
}

pub(crate) async fn known_again(_world: World) -> Outcome {
    let vips = [host("192.0.2.9")?, host("2001:db8::9")?];
    {
        let netlink = Netlink::open()?;
        let eth0 = link(&netlink, "eth0").await?;
        for vip in vips {
            netlink.add(&eth0, vip, Lifetime::MAX)?;
            netlink.refresh(&eth0, vip, Lifetime::MAX)?;
        }
    }
    let later = Netlink::open()?;
    let eth0 = link(&later, "eth0").await?;
    let listed = later.addresses(&eth0).await?;
    let own: Vec<_> = listed.iter().filter(|address| address.is_ours()).collect();
    assert_eq!(own.len(), 2, "{listed:?}");
    for vip in vips {
        assert!(own.iter().any(|address| address.is(vip)), "{listed:?}");
    }
    assert!(
        own.iter()
            .all(|address| address.protocol == Some(PROTOCOL_MARK))
    );
    assert_eq!(listed.len(), 4, "{listed:?}");
    Ok(())
}

pub(crate) async fn host_prefix(world: World) -> Outcome {
    let netlink = Netlink::open()?;
    let eth0 = link(&netlink, "eth0").await?;
    let own = [vip("192.0.2.1", 24)?, vip("2001:db8::1", 64)?];
    let before = [world.there(own[0])?, world.there(own[1])?];
    for (address, configured, expected) in [("192.0.2.9", 24, 32), ("2001:db8::9", 64, 128)] {
        let others = netlink.addresses(&eth0).await?;
        let prefix = prefix_for(address.parse()?, configured, others.iter());
        assert_eq!(prefix, expected);
        let vip = vip(address, prefix)?;
        netlink.add(&eth0, vip, Lifetime::MAX)?;
        let again = netlink.addresses(&eth0).await?;
        assert_eq!(
            prefix_for(address.parse()?, configured, again.iter()),
            prefix
        );
        assert!(world.there(vip)?.get("secondary").is_none());
        assert_eq!(netlink.remove(&eth0, vip)?, Removed::Yes);
    }
    assert_eq!([world.there(own[0])?, world.there(own[1])?], before);
    Ok(())
}

/// Why [`prefix_for`] avoids a prefix that another address has: the kernel deletes both.
pub(crate) async fn shared_prefix(world: World) -> Outcome {
    world
        .host
        .sysctl("net/ipv4/conf/all/promote_secondaries", "0")?;
    world
        .host
        .sysctl("net/ipv4/conf/eth0/promote_secondaries", "0")?;
    world
        .host
        .ip(&["address", "delete", "192.0.2.1/24", "dev", "eth0"])?;
    let netlink = Netlink::open()?;
    let eth0 = link(&netlink, "eth0").await?;
    let (shared, own): (Vip, Vip) = (vip("192.0.2.9", 24)?, vip("192.0.2.1", 24)?);
    netlink.add(&eth0, shared, Lifetime::MAX)?;
    world
        .host
        .ip(&["address", "add", "192.0.2.1/24", "dev", "eth0"])?;
    assert_eq!(world.there(own)?["secondary"], true);
    netlink.remove(&eth0, shared)?;
    assert_eq!(world.witness(own)?, None);
    Ok(())
}
