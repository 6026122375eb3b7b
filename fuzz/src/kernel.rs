//! What the kernel says over netlink: through the codec that takes messages off the socket, and the
//! reading of addresses and interfaces.

use bytes::BytesMut;
use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use rtnetlink::proto::{NetlinkCodec, NetlinkMessageCodec};
use vip_netlink::message;

/// No real answer has more messages than this in one datagram.
const MESSAGES: usize = 100_000;

pub(crate) fn take(input: &[u8]) {
    let mut rest = BytesMut::from(input);
    for _ in 0..MESSAGES {
        let before = rest.len();
        match NetlinkCodec::decode::<RouteNetlinkMessage>(&mut rest) {
            Ok(Some(read)) => look(read),
            Ok(None) => return,
            Err(_) => assert!(rest.len() < before, "the same bytes fail for ever"),
        }
    }
    panic!("{} bytes are read for ever", input.len());
}

fn look(read: NetlinkMessage<RouteNetlinkMessage>) {
    let NetlinkPayload::InnerMessage(inner) = read.payload else {
        return;
    };
    if let RouteNetlinkMessage::NewAddress(found) = &inner {
        if let Some(address) = message::address(found) {
            // A wrong prefix must not make a wrong choice of our own.
            let prefix = vip_netlink::prefix_for(address.address, 24, std::iter::once(&address));
            assert!(prefix <= 24);
        }
    } else if let RouteNetlinkMessage::NewLink(found) = &inner
        && let Some(link) = message::link(found)
    {
        assert_eq!(link.index, found.header.index);
    }
}
