//! What the daemon writes into the journal, read back from it.

use libtest_mimic::Trial;
use vip_lab::time::until;

use crate::site::{KEY, LIMIT, Outcome, Site, UNIT, message, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("entries_have_fields_and_the_words_of_the_text_log", fields),
        trial("a_log_that_is_asked_for_as_text_or_json_stays_so", shapes),
    ]
}

fn fields(site: &Site) -> Outcome {
    site.systemctl(&["start", UNIT])?;
    let entry = site.wait_for_entry(UNIT, "*** LOCK ACQUIRED ***", 1)?;
    assert_eq!(entry["PRIORITY"], "6", "{entry}");
    assert_eq!(entry["SYSLOG_IDENTIFIER"], "vip-elector", "{entry}");
    assert_eq!(entry["_TRANSPORT"], "journal", "{entry}");
    assert_eq!(entry["VIP_ELECTOR_GROUP"], KEY, "{entry}");
    assert_eq!(
        entry["_PID"].as_str(),
        Some(site.property(UNIT, "MainPID")?.as_str())
    );
    let session = entry["VIP_ELECTOR_SESSION"].as_str().ok_or("no session")?;
    let lease = entry["VIP_ELECTOR_LEASE_MS"].as_str().ok_or("no lease")?;
    assert_eq!(
        message(&entry),
        format!("*** LOCK ACQUIRED *** group=\"{KEY}\" session={session} lease_ms={lease}")
    );
    // Found by a field, as an operator would look for it.
    let group = format!("VIP_ELECTOR_GROUP={KEY}");
    let found = site.run(&["journalctl", "--output=cat", &group, "PRIORITY=6"])?;
    assert!(found.lines().any(|line| line == message(&entry)), "{found}");

    site.run(&["consul", "kv", "delete", KEY])?;
    let lost = site.wait_for_entry(UNIT, "*** LOCK LOST ***", 1)?;
    assert_eq!(lost["PRIORITY"], "4", "{lost}");
    let reason = lost["VIP_ELECTOR_REASON"].as_str().unwrap_or_default();
    assert!(reason.starts_with("the trigger key is gone"), "{lost}");
    Ok(())
}

fn shapes(site: &Site) -> Outcome {
    for (format, start) in [("text", "INFO"), ("json", "{\"timestamp\"")] {
        let more = format!("vip-elector: {{log-format: {format}}}\n");
        site.group("/etc/vip-manager.yml", KEY, "10.77.0.200", &more)?;
        site.systemctl(&["restart", UNIT])?;
        let entry = until("the lock", LIMIT, || {
            let entries = site.journal(UNIT).map_err(|error| error.to_string())?;
            let mut lines = entries
                .into_iter()
                .filter(|entry| entry["_TRANSPORT"] == "stdout");
            lines
                .find(|entry| {
                    message(entry).contains("LOCK ACQUIRED") && message(entry).contains(start)
                })
                .ok_or_else(|| "it is not there".to_owned())
        })?;
        assert!(entry.get("VIP_ELECTOR_GROUP").is_none(), "{entry}");
    }
    Ok(())
}
