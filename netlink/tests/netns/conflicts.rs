//! What others say of an address, and what they answer when they are asked.

use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;
use vip_netlink::{
    Announcer, Claim, Interest, Lifetime, Link, Listener, Mac, Manner, Netlink, NodeKind,
};

use crate::world::{Anything, Outcome, PATIENCE, World, host, link};

const VIPS: [(&str, Interest); 2] = [
    ("192.0.2.9", Interest::Arp),
    ("2001:db8::9", Interest::Advertisements),
];

/// The peer's end of the cable, as the peer has it.
fn peer_link(world: &World) -> Result<Link, Anything> {
    let text = world.peer.ip(&["-j", "link", "show", "dev", "eth0"])?;
    let links: Vec<Value> = serde_json::from_str(&text)?;
    let link = links.first().ok_or("no link")?;
    let mac = link["address"].as_str().ok_or("no address")?;
    let bytes: Vec<u8> = mac
        .split(':')
        .map(|byte| u8::from_str_radix(byte, 16))
        .collect::<Result<_, _>>()?;
    Ok(Link {
        index: link["ifindex"].as_u64().ok_or("no number")?.try_into()?,
        name: "eth0".to_owned(),
        other_names: Vec::new(),
        mac: Some(Mac(bytes.as_slice().try_into()?)),
        up: true,
        carrier: true,
        arp: true,
        moves: 0,
    })
}

pub(crate) async fn heard(world: World) -> Outcome {
    let netlink = Netlink::open()?;
    let eth0 = link(&netlink, "eth0").await?;
    let peer = peer_link(&world)?;
    let announcer = world.peer.enter(Announcer::open)??;
    for (text, interest) in VIPS {
        let address = text.parse()?;
        let all = Listener::open(interest)?;
        let of_it = Listener::open(Interest::Of(address))?;
        let of_another = Listener::open(Interest::Of(host("192.0.2.77")?.address()))?;
        // A question is no claim, nor is what is said of others.
        announcer.probe(&peer, address)?;
        let other = if address.is_ipv4() {
            "192.0.2.10"
        } else {
            "2001:db8::a"
        };
        announcer.announce(&peer, other.parse()?, NodeKind::Host)?;
        announcer.announce(&peer, address, NodeKind::Host)?;
        let mac = peer.mac.ok_or("no mac")?;
        let claim = |address| (eth0.index, Claim { address, mac });
        let first = timeout(PATIENCE, of_it.next()).await??;
        assert_eq!(first, claim(address));
        let first = timeout(PATIENCE, all.next()).await??;
        assert_eq!(first, claim(other.parse()?));
        let silent = timeout(Duration::from_millis(50), of_another.next()).await;
        assert!(silent.is_err(), "{silent:?}");
    }
    Ok(())
}

pub(crate) async fn answered(world: World) -> Outcome {
    let netlink = Netlink::open()?;
    let eth0 = link(&netlink, "eth0").await?;
    let announcer = Announcer::open()?;
    for (text, _) in VIPS {
        let vip = host(text)?;
        let listener = Listener::open(Interest::Of(vip.address()))?;
        announcer.probe(&eth0, vip.address())?;
        let nobody = timeout(Duration::from_millis(200), listener.next()).await;
        assert!(nobody.is_err(), "{nobody:?}");
        world
            .peer
            .ip(&["address", "add", &vip.to_string(), "dev", "eth0", "nodad"])?;
        announcer.probe(&eth0, vip.address())?;
        let (interface, claim) = timeout(PATIENCE, listener.next()).await??;
        assert_eq!(interface, eth0.index);
        assert_eq!(claim.address, vip.address());
        assert_eq!(Some(claim.mac), peer_link(&world)?.mac);
    }
    Ok(())
}

pub(crate) async fn detected(world: World) -> Outcome {
    let netlink = Netlink::open()?;
    let eth0 = link(&netlink, "eth0").await?;
    let manner = Manner {
        detects: true,
        is_source: true,
    };
    let vip = host("2001:db8::9")?.in_manner(manner);
    let mut changes = netlink.changes("eth0", vip.address());
    netlink.add(&eth0, vip, Lifetime::MAX)?;
    let tentative = || {
        netlink.look(|tables| {
            let mut at = tables.at(eth0.index, vip.address());
            at.next().map(|address| address.tentative)
        })
    };
    assert_eq!(tentative().await?, Some(true));
    // Prolonging does not make it usable sooner, nor later.
    netlink.refresh(&eth0, vip, Lifetime::MAX)?;
    while tentative().await? == Some(true) {
        timeout(PATIENCE, changes.next()).await??;
    }
    assert_eq!(tentative().await?, Some(false));
    let seen = world.there(vip)?;
    assert_eq!(seen["preferred_life_time"], seen["valid_life_time"]);
    assert_eq!(
        netlink
            .look(|tables| tables.duplicates(vip.address()))
            .await?,
        0
    );
    netlink.remove(&eth0, vip)?;

    // Somebody else has it: what has a lifetime is taken off, what has none is marked.
    world
        .peer
        .ip(&["address", "add", &vip.to_string(), "dev", "eth0", "nodad"])?;
    netlink.add(&eth0, vip, Lifetime::MAX)?;
    while tentative().await?.is_some() {
        timeout(PATIENCE, changes.next()).await??;
    }
    assert_eq!(
        netlink
            .look(|tables| tables.duplicates(vip.address()))
            .await?,
        1
    );
    netlink.add(&eth0, vip, Lifetime::unlimited())?;
    let marked = || {
        netlink.look(|tables| {
            let mut at = tables.at(eth0.index, vip.address());
            at.next().is_some_and(|address| address.dad_failed)
        })
    };
    while !marked().await? {
        timeout(PATIENCE, changes.next()).await??;
    }
    Ok(())
}
