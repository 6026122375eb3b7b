//! lab
use std::io::Write;
fn main() {
    for part in [vip_lab::parts::consul(), vip_lab::parts::vip_manager()] {
        let _ = writeln!(std::io::stdout(), "{part:?}");
    }
}
