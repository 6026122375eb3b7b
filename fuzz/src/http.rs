//! What comes back over the connection to Consul, byte for byte: heads, chunks and all that HTTP allows
//! for. The input is said to a read of a key, and the connection closed.

use vip_elector::consul::kv::Consistency;

use crate::consul::agent::{Agent, TIMEOUT};
use crate::text::assert_line;

pub(crate) fn take(input: &[u8]) {
    Agent::with(|agent| {
        agent.say(input);
        let client = agent.client();
        let (read, took) = agent.run(client.read("k", Consistency::Consistent, TIMEOUT));
        assert!(took <= TIMEOUT * 2, "it took {took:?}");
        match read {
            Ok(read) => assert!(read.index > 0),
            Err(failure) => assert_line(&failure.message, 1100),
        }
    });
}
