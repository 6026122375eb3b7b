//! What is kept of the kernel's tables, beside the tables.

use std::fmt::Write;

use futures_util::FutureExt;
use tokio::time::timeout;
use vip_netlink::{Address, Lifetime, Netlink, Tables, Vip};

use crate::world::{Outcome, PATIENCE, World, host, link};

pub(crate) async fn overrun(world: World) -> Outcome {
    let netlink = Netlink::open()?;
    let eth0 = link(&netlink, "eth0").await?;
    let vip = host("192.0.2.9")?;
    let mut changes = netlink.changes("eth0", vip.address());
    // Nobody reads meanwhile. The address comes when the buffer is long full.
    let mut churn =
        "address add 198.51.100.1/32 dev lo\naddress delete 198.51.100.1/32 dev lo\n".repeat(8000);
    writeln!(churn, "address add {vip} dev eth0")?;
    world.batch(&churn)?;
    assert_ne!(dropped()?, 0, "no overrun");

    let there = |tables: &Tables| tables.at(eth0.index, vip.address()).count() == 1;
    assert!(netlink.look(there).await?);
    timeout(PATIENCE, changes.next()).await??;

    // It still listens, and lists nothing any more.
    world
        .host
        .ip(&["address", "delete", &vip.to_string(), "dev", "eth0"])?;
    assert_eq!(netlink.look(there).now_or_never().transpose()?, Some(false));
    timeout(PATIENCE, changes.next()).await??;
    Ok(())
}

/// How many notifications this thread's sockets have lost.
fn dropped() -> Result<u64, Box<dyn std::error::Error + Send + Sync>> {
    let sockets = std::fs::read_to_string("/proc/thread-self/net/netlink")?;
    let of_socket = |line: &str| line.split_whitespace().nth(8)?.parse::<u64>().ok();
    Ok(sockets.lines().skip(1).filter_map(of_socket).sum())
}

/// The kernel tells of some changes only after it has acknowledged them.
pub(crate) async fn acknowledged(_world: World) -> Outcome {
    let netlink = Netlink::open()?;
    let eth0 = link(&netlink, "eth0").await?;
    for round in 0..200 {
        for vip in [host("192.0.2.9")?, host("2001:db8::9")?] {
            let ours = |tables: &Tables| {
                let mut at = tables.at(eth0.index, vip.address());
                at.next().is_some_and(Address::is_ours)
            };
            // Without a listing, which would tell the truth whatever is kept.
            let seen = || netlink.look(ours).now_or_never().transpose();
            netlink.add(&eth0, vip, Lifetime::MAX)?;
            assert_eq!(seen()?, Some(true), "{vip} added, round {round}");
            netlink.refresh(&eth0, vip, Lifetime::MAX)?;
            assert_eq!(seen()?, Some(true), "{vip} prolonged, round {round}");
            netlink.remove(&eth0, vip)?;
            assert_eq!(seen()?, Some(false), "{vip} removed, round {round}");
        }
        tokio::task::yield_now().await;
    }
    Ok(())
}

pub(crate) async fn same_as_listed(world: World) -> Outcome {
    let netlink = Netlink::open()?;
    let eth0 = link(&netlink, "eth0").await?;
    // Some of these the kernel refuses, and says so; it goes on.
    let mut seed = 0x2545_f491_u32;
    for _ in 0..5 {
        let mut batch = String::new();
        for _ in 0..200 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (what, which) = (seed >> 30, (seed >> 20) & 15);
            let verb = ["replace", "delete"][(seed >> 10) as usize & 1];
            match what {
                0 => writeln!(batch, "address {verb} 10.0.0.{which}/24 dev eth0")?,
                1 => writeln!(batch, "address {verb} 10.0.0.{which}/32 dev eth0")?,
                2 => writeln!(batch, "address {verb} fd00::{which}/64 dev eth0 nodad")?,
                _ if which == 0 => writeln!(batch, "link set eth0 down\nlink set eth0 up")?,
                _ => writeln!(
                    batch,
                    "address {verb} 10.0.1.{which} peer 10.0.2.{which} dev eth0"
                )?,
            }
        }
        let file = std::env::temp_dir().join(format!("{}-random", world.host.name()));
        std::fs::write(&file, batch)?;
        let _refusals = world
            .host
            .ip(&["-force", "-batch", &file.to_string_lossy()]);
        std::fs::remove_file(&file)?;

        let mut changes = netlink.changes("eth0", "10.0.0.1".parse()?);
        loop {
            let of_eth0 = |tables: &Tables| tables.addresses(eth0.index).map(shown).collect();
            let seen: Vec<_> = netlink.look(of_eth0).await?;
            let listed: Vec<_> = Netlink::open()?.look(of_eth0).await?;
            if seen == listed {
                assert!(seen.len() > 5, "{seen:?}");
                break;
            }
            // Of an address without detection the kernel tells a moment later.
            let later = timeout(PATIENCE, changes.next()).await;
            later.map_err(|_| format!("{seen:?}, and the kernel has {listed:?}"))??;
        }
    }
    Ok(())
}

fn shown(address: &Address) -> String {
    format!("{}/{}", address.address, address.prefix)
}

pub(crate) async fn wakes_nobody_else(world: World) -> Outcome {
    let netlink = Netlink::open()?;
    let eth0 = link(&netlink, "eth0").await?;
    let vips: Vec<Vip> = (10..60)
        .map(|last| host(&format!("192.0.2.{last}")))
        .collect::<Result<_, _>>()?;
    let mut all: Vec<_> = vips
        .iter()
        .map(|vip| netlink.changes("eth0", vip.address()))
        .collect();
    for vip in &vips[..10] {
        netlink.add(&eth0, *vip, Lifetime::MAX)?;
        netlink.refresh(&eth0, *vip, Lifetime::MAX)?;
    }
    netlink.look(|_| ()).await?;
    let woken = |all: &mut [vip_netlink::Changes]| -> Vec<bool> {
        all.iter_mut()
            .map(|changes| changes.next().now_or_never().is_some())
            .collect()
    };
    let expected: Vec<bool> = (0..50).map(|n| n < 10).collect();
    assert_eq!(woken(&mut all), expected);
    // Prolonged, and nothing else.
    for vip in &vips[..10] {
        netlink.refresh(&eth0, *vip, Lifetime::MAX)?;
    }
    netlink.look(|_| ()).await?;
    assert_eq!(woken(&mut all), [false; 50]);
    // What brings their network concerns all of them, and so does their interface.
    world
        .host
        .ip(&["address", "add", "192.0.2.250/24", "dev", "eth0"])?;
    netlink.look(|_| ()).await?;
    assert_eq!(woken(&mut all), [true; 50]);
    world.host.ip(&["link", "set", "eth0", "mtu", "1400"])?;
    netlink.look(|_| ()).await?;
    assert_eq!(woken(&mut all), [false; 50]);
    world
        .host
        .ip(&["link", "set", "eth0", "address", "02:00:5e:10:00:08"])?;
    netlink.look(|_| ()).await?;
    assert_eq!(woken(&mut all), [true; 50]);
    Ok(())
}

pub(crate) async fn made_again(world: World) -> Outcome {
    let netlink = Netlink::open()?;
    let cable = [
        "link", "add", "eth1", "type", "veth", "peer", "name", "eth2",
    ];
    world.host.ip(&cable)?;
    let old = link(&netlink, "eth1").await?;
    let vip = host("198.51.100.9")?;
    netlink.add(&old, vip, Lifetime::MAX)?;
    let mut changes = netlink.changes("eth1", vip.address());
    world.host.ip(&["link", "set", "eth1", "name", "eth3"])?;
    timeout(PATIENCE, changes.next()).await??;
    assert_eq!(netlink.link("eth1").await?, None);
    let carriers = |tables: &Tables| -> Vec<String> {
        let carriers = tables.carriers_of(vip.address());
        carriers.map(|link| link.name.clone()).collect()
    };
    assert_eq!(netlink.look(carriers).await?, ["eth3"]);
    world.host.ip(&["link", "delete", "eth3"])?;
    assert_eq!(netlink.look(carriers).await?, [""; 0]);
    world.host.ip(&cable)?;
    timeout(PATIENCE, changes.next()).await??;
    let new = link(&netlink, "eth1").await?;
    assert_ne!(new.index, old.index);
    Ok(())
}
