//! Applier: counts the connections to a host's Consul agent.

use std::fs;

use crate::cluster::{AGENT_PORT, Host};
use crate::netns::Error;

/// How proc_net_tcp(5) writes that a connection is open.
const ESTABLISHED: &str = "01";

/// Returns how many connections to its agent are open on a host, as clients see it.
pub fn connections(host: &Host) -> Result<usize, Error> {
    let table = host
        .namespace()
        .enter(|| fs::read_to_string("/proc/thread-self/net/tcp"))?;
    Ok(count(&table.unwrap_or_default()))
}

fn count(table: &str) -> usize {
    let agent = format!("0100007F:{AGENT_PORT:04X}");
    let lines = table.lines().map(|line| line.split_ascii_whitespace());
    lines
        .filter_map(|mut fields| Some((fields.nth(2)?, fields.next()?)))
        .filter(|(remote, state)| *remote == agent && *state == ESTABLISHED)
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_ones_count_at_the_clients_end() {
        let table = "\
  sl  local_address rem_address   st tx_queue rx_queue
   0: 0100007F:2134 00000000:0000 0A 00000000:00000000
   1: 0100007F:9C40 0100007F:2134 01 00000000:00000000
   2: 0100007F:2134 0100007F:9C40 01 00000000:00000000
   3: 0100007F:9C41 0100007F:2134 06 00000000:00000000
   4: 0100007F:9C42 0100007F:2135 01 00000000:00000000
";
        assert_eq!(count(table), 1);
    }
}
