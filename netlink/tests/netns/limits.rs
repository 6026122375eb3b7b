//! What the kernel refuses, and how much it takes.

use caps::{CapSet, Capability};
use futures_util::FutureExt;
use futures_util::future::join_all;
use vip_netlink::{Announcer, Error, Lifetime, Netlink, Removed};

use crate::world::{Outcome, World, host, link};

pub(crate) async fn vanished(world: World) -> Outcome {
    let netlink = Netlink::open()?;
    let eth0 = link(&netlink, "eth0").await?;
    let announcer = Announcer::open()?;
    world.host.ip(&["link", "delete", "eth0"])?;
    for vip in [host("192.0.2.9")?, host("2001:db8::9")?] {
        let added = netlink.add(&eth0, vip, Lifetime::MAX);
        assert!(matches!(added, Err(Error::NoInterface { .. })), "{added:?}");
        let refreshed = netlink.refresh(&eth0, vip, Lifetime::MAX);
        assert!(
            matches!(refreshed, Err(Error::NoInterface { .. })),
            "{refreshed:?}"
        );
        assert_eq!(netlink.remove(&eth0, vip)?, Removed::WasAbsent);
        let announced = announcer.announce(&eth0, vip.address(), vip_netlink::NodeKind::Host);
        assert!(
            matches!(announced, Err(Error::NoInterface { .. })),
            "{announced:?}"
        );
    }
    assert_eq!(netlink.addresses(&eth0).await?, []);
    Ok(())
}

pub(crate) async fn no_capabilities(world: World) -> Outcome {
    let vip = host("192.0.2.9")?;
    let netlink = Netlink::open()?;
    let eth0 = link(&netlink, "eth0").await?;
    // Of this thread only, which ends with the test.
    caps::drop(None, CapSet::Effective, Capability::CAP_NET_ADMIN)?;
    caps::drop(None, CapSet::Effective, Capability::CAP_NET_RAW)?;

    let netlink = Netlink::open()?;
    for refused in [
        netlink.add(&eth0, vip, Lifetime::MAX),
        netlink.refresh(&eth0, vip, Lifetime::MAX),
        netlink.remove(&eth0, vip).map(drop),
    ] {
        let error = refused.err().ok_or("it was allowed")?;
        assert!(error.is_permission(), "{error:?}");
        assert!(
            error.to_string().contains("CAP_NET_ADMIN is missing"),
            "{error}"
        );
    }
    let error = Announcer::open().err().ok_or("it was allowed")?;
    assert!(error.is_permission(), "{error:?}");
    assert!(
        error.to_string().contains("CAP_NET_RAW is missing"),
        "{error}"
    );
    assert_eq!(netlink.addresses(&eth0).await?.len(), 2);
    // Looking takes no capability.
    let netlink = Netlink::open()?;
    link(&netlink, "eth0").await?;
    assert_eq!(netlink.addresses(&eth0).await?.len(), 2);
    assert_eq!(world.witness(vip)?, None);
    Ok(())
}

pub(crate) async fn ipv6_disabled(world: World) -> Outcome {
    world.host.sysctl("net/ipv6/conf/eth0/disable_ipv6", "1")?;
    let netlink = Netlink::open()?;
    let eth0 = link(&netlink, "eth0").await?;
    let v6 = host("2001:db8::9")?;
    let added = netlink.add(&eth0, v6, Lifetime::MAX);
    assert!(
        matches!(added, Err(Error::Ipv6Disabled { .. })),
        "{added:?}"
    );
    netlink.add(&eth0, host("192.0.2.9")?, Lifetime::MAX)?;
    Ok(())
}

/// More addresses than fit into one part of a dump, looked for by several at once.
pub(crate) async fn many(world: World) -> Outcome {
    const COUNT: usize = 1500;
    let batch: String = (0..COUNT)
        .map(|n| format!("address add 10.1.{}.{}/32 dev eth0\n", n / 250, n % 250 + 1))
        .collect();
    world.batch(&batch)?;

    let netlink = Netlink::open()?;
    let index = world.host.ip(&["-o", "link", "show", "dev", "eth0"])?;
    let index: u32 = index.split(':').next().unwrap_or_default().parse()?;
    let count = || netlink.look(|tables| tables.addresses(index).count());
    // Begun and abandoned: the kernel goes on with it.
    assert!(count().now_or_never().is_none());
    for counted in join_all((0..8).map(|_| count())).await {
        assert_eq!(counted?, COUNT + 2);
    }
    // Nothing is listed again.
    for _ in 0..20 {
        let counted = count().now_or_never().ok_or("it had to wait")?;
        assert_eq!(counted?, COUNT + 2);
    }
    Ok(())
}
