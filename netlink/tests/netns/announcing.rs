//! What arrives at the other end of the cable.

use std::fs::File;
use std::io::Read;

use nix::sys::socket::sockopt::ReceiveTimeout;
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, setsockopt, socket};
use nix::sys::time::{TimeVal, TimeValLike};
use vip_netlink::{Announcer, Error, Netlink, NodeKind};

use crate::world::{Anything, MAC, Outcome, World, link};

/// Hears every frame that arrives at the peer.
struct Capture(File);

impl Capture {
    fn open(world: &World) -> Result<Self, Anything> {
        let listening = world.peer.enter(|| {
            let all = SockProtocol::EthAll;
            socket(
                AddressFamily::Packet,
                SockType::Raw,
                SockFlag::SOCK_CLOEXEC,
                all,
            )
        })??;
        setsockopt(&listening, ReceiveTimeout, &TimeVal::seconds(10))?;
        Ok(Self(File::from(listening)))
    }

    /// Waits for the next frame from the host with this destination and Ethernet type.
    ///
    /// The host's kernel has frames of its own to send, multicast listener reports above all.
    fn next(&mut self, to: [u8; 6], ethertype: [u8; 2]) -> Result<Vec<u8>, Anything> {
        let header = [&to[..], &MAC[..], &ethertype[..]].concat();
        let mut frame = [0; 2048];
        loop {
            let length = self.0.read(&mut frame)?;
            let frame = frame.get(..length).ok_or("too long")?;
            if frame.starts_with(&header) {
                return Ok(frame.to_vec());
            }
        }
    }
}

pub(crate) async fn arp_frames(world: World) -> Outcome {
    let netlink = Netlink::open()?;
    let eth0 = link(&netlink, "eth0").await?;
    let announcer = Announcer::open()?;
    let mut capture = Capture::open(&world)?;
    announcer.announce(&eth0, "192.0.2.9".parse()?, NodeKind::Host)?;

    let frame = |operation: u8, target: u8| {
        let mut bytes = Vec::new();
        bytes.extend([0xff; 6]);
        bytes.extend(MAC);
        bytes.extend([0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, operation]);
        bytes.extend(MAC);
        bytes.extend([192, 0, 2, 9]);
        bytes.extend([target; 6]);
        bytes.extend([192, 0, 2, 9]);
        bytes.extend([0; 18]);
        bytes
    };
    assert_eq!(capture.next([0xff; 6], [0x08, 0x06])?, frame(1, 0x00));
    assert_eq!(capture.next([0xff; 6], [0x08, 0x06])?, frame(2, 0xff));
    Ok(())
}

pub(crate) async fn na_frames(world: World) -> Outcome {
    let netlink = Netlink::open()?;
    let eth0 = link(&netlink, "eth0").await?;
    let announcer = Announcer::open()?;
    let mut capture = Capture::open(&world)?;
    // Flags and the checksum over them, worked out apart from this crate.
    for (kind, flags, checksum) in [
        (NodeKind::Host, 0x20, [0x9b, 0x04]),
        (NodeKind::Router, 0xa0, [0x1b, 0x04]),
    ] {
        announcer.announce(&eth0, "2001:db8::9".parse()?, kind)?;
        let vip = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
        let mut bytes = Vec::new();
        bytes.extend([0x33, 0x33, 0, 0, 0, 1]);
        bytes.extend(MAC);
        bytes.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 32, 58, 255]);
        bytes.extend(vip);
        bytes.extend([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        bytes.extend([136, 0]);
        bytes.extend(checksum);
        bytes.extend([flags, 0, 0, 0]);
        bytes.extend(vip);
        bytes.extend([2, 1]);
        bytes.extend(MAC);
        assert_eq!(capture.next([0x33, 0x33, 0, 0, 0, 1], [0x86, 0xdd])?, bytes);
        // To the routers, which override nothing for it; the rest is the group and the checksum.
        let routers = capture.next([0x33, 0x33, 0, 0, 0, 2], [0x86, 0xdd])?;
        bytes[5] = 2;
        bytes[53] = 2;
        bytes[56..58].copy_from_slice(&routers[56..58]);
        bytes[58] &= 0xdf;
        assert_eq!(routers, bytes);
    }
    Ok(())
}

/// The kernel at the other end believes both kinds; it drops what has a wrong checksum.
pub(crate) async fn neighbours_follow(world: World) -> Outcome {
    let netlink = Netlink::open()?;
    let eth0 = link(&netlink, "eth0").await?;
    let announcer = Announcer::open()?;
    for address in ["192.0.2.9", "2001:db8::9"] {
        let old = [
            "lladdr",
            "02:00:00:00:00:99",
            "dev",
            "eth0",
            "nud",
            "reachable",
        ];
        world
            .peer
            .ip(&[&["neighbour", "replace", address], &old[..]].concat())?;
        let known = || {
            world
                .peer
                .ip(&["neighbour", "show", address, "dev", "eth0"])
        };
        assert!(known()?.contains("02:00:00:00:00:99"));
        announcer.announce(&eth0, address.parse()?, NodeKind::Host)?;
        // A veth delivers on the sender's processor, so that a few looks are enough.
        let followed = (0..100).try_fold(false, |done, _| {
            Ok::<_, Anything>(done || known()?.contains("02:00:5e:10:00:07"))
        })?;
        assert!(followed, "{address}: {}", known()?);
    }
    Ok(())
}

pub(crate) async fn refusals(world: World) -> Outcome {
    let netlink = Netlink::open()?;
    let announcer = Announcer::open()?;
    let lo = link(&netlink, "lo").await?;
    let lo = announcer.announce(&lo, "192.0.2.9".parse()?, NodeKind::Host);
    assert!(matches!(lo, Err(Error::NotEthernet { .. })), "{lo:?}");

    let eth0 = link(&netlink, "eth0").await?;
    world.host.ip(&["link", "set", "eth0", "down"])?;
    for address in ["192.0.2.9", "2001:db8::9"] {
        let told = announcer.announce(&eth0, address.parse()?, NodeKind::Host);
        assert!(matches!(told, Err(Error::InterfaceDown { .. })), "{told:?}");
    }
    // The socket survives that.
    world.host.ip(&["link", "set", "eth0", "up"])?;
    announcer.announce(&eth0, "192.0.2.9".parse()?, NodeKind::Host)?;

    world.host.ip(&["link", "set", "eth0", "arp", "off"])?;
    let silent = link(&netlink, "eth0").await?;
    let silent = announcer.announce(&silent, "192.0.2.9".parse()?, NodeKind::Host);
    assert!(
        matches!(silent, Err(Error::NotEthernet { .. })),
        "{silent:?}"
    );
    Ok(())
}
