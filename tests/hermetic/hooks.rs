//! Hooks: real commands, one at a time, and never an old word after a new one.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use vip_elector::config::Hooks;
use vip_elector::hooks::standing::{Role, Standing};
use vip_elector::hooks::{self, About};
use vip_elector::status::counters::HookRuns;

use crate::lines::{Lines, capture};

/// Far more than anything here takes.
const GENEROUS: Duration = Duration::from_secs(30);

/// A group whose hooks run in a directory of their own.
struct Group {
    directory: TempDir,
    hooks: watch::Sender<Hooks>,
    runs: Arc<HookRuns>,
    standing: Option<watch::Sender<Option<Standing>>>,
    running: JoinHandle<()>,
}

impl Group {
    /// Every hook is the same command, where `$d` is the directory.
    fn start(command: &str, timeout: Duration) -> Self {
        Self::start_after(None, command, timeout)
    }

    /// The hooks come when this is how the host stands.
    fn start_after(told: Option<Standing>, command: &str, timeout: Duration) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let command = format!("d={}; {command}", directory.path().display());
        let (hooks, told_to) = watch::channel(Hooks {
            on_leader: Some(command.clone()),
            on_standby: Some(command.clone()),
            on_fault: Some(command),
            timeout,
        });
        let (standing, stands) = watch::channel(None);
        let runs = Arc::<HookRuns>::default();
        let about = About {
            group: "g".to_owned(),
            addresses: ["192.0.2.7", "2001:db8::7"]
                .map(|text| text.parse().unwrap())
                .to_vec(),
            runs: Arc::clone(&runs),
        };
        let running = tokio::spawn(hooks::run(about, told_to, stands, told));
        Self {
            directory,
            hooks,
            runs,
            standing: Some(standing),
            running,
        }
    }

    fn stands(&self, role: Role, term: u64) {
        let sender = self.standing.as_ref().unwrap();
        sender.send_replace(Some(standing(role, term)));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Waits until a file has this text.
    async fn shows(&self, name: &str, expected: &str) {
        let shown = async {
            while self.text(name) != expected {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let shown = tokio::time::timeout(GENEROUS, shown).await.is_ok();
        assert!(shown, "{expected:?} is awaited: {:?}", self.text(name));
    }

    /// The driver is gone: waits until its last word has been told.
    async fn end(mut self) -> TempDir {
        self.standing = None;
        let ended = tokio::time::timeout(GENEROUS, self.running).await;
        ended.expect("the last hook has its timeout").unwrap();
        self.directory
    }
}

fn standing(role: Role, term: u64) -> Standing {
    Standing {
        role,
        reason: format!("it's {}", role.name()),
        term: Some(term),
        leader: Some("web1".to_owned()),
    }
}

/// How often a hook was done, and how often it failed.
fn counted(runs: &HookRuns, role: Role) -> (u64, u64) {
    (runs.counted(role, true), runs.counted(role, false))
}

const WRITE: &str = "echo \"$VIP_ELECTOR_ROLE $VIP_ELECTOR_TERM\" >>$d/told";

#[tokio::test]
async fn hooks_that_come_later_are_told_what_happens_from_then_on() {
    for (then, told) in [(Role::Leader, ""), (Role::Standby, "standby 7\n")] {
        let before = Some(standing(Role::Leader, 7));
        let group = Group::start_after(before, WRITE, GENEROUS);
        group.stands(then, 7);
        let directory = group.end().await;
        let text = std::fs::read_to_string(directory.path().join("told"));
        assert_eq!(text.unwrap_or_default(), told);
    }
}

#[tokio::test]
async fn a_hook_is_told_everything_and_its_output_is_logged() {
    let lines = Lines::default();
    let capturing = capture(&lines);
    let group = Group::start(
        "env | grep ^VIP_ELECTOR | sort; printf 'no\\033[end' >&2; exit 3",
        GENEROUS,
    );
    group.stands(Role::Leader, 7);
    let runs = Arc::clone(&group.runs);
    group.end().await;
    drop(capturing);
    assert_eq!(counted(&runs, Role::Leader), (0, 1));
    let log = lines.all();
    let says = |text: &str| format!("INFO hook says group=\"g\" hook=\"on-leader\" line={text:?}");
    for text in [
        "VIP_ELECTOR_ADDRESS=192.0.2.7",
        "VIP_ELECTOR_ADDRESSES=192.0.2.7 2001:db8::7",
        "VIP_ELECTOR_GROUP=g",
        "VIP_ELECTOR_LEADER=web1",
        "VIP_ELECTOR_REASON=it's leader",
        "VIP_ELECTOR_ROLE=leader",
        "VIP_ELECTOR_TERM=7",
    ] {
        assert!(log.contains(&says(text)), "{text}: {log:#?}");
    }
    let all = log.join("\n");
    assert!(all.contains(r"no\u{1b}[end"), "{all}");
    assert!(
        all.contains("WARN hook failed, going on without") && all.contains("status 3"),
        "{all}"
    );
}

#[tokio::test]
async fn one_at_a_time_and_the_newest_of_what_happens_meanwhile() {
    let group = Group::start(
        &format!("{WRITE}; while [ ! -e $d/go ]; do sleep 0.01; done; echo end >>$d/told"),
        GENEROUS,
    );
    group.stands(Role::Leader, 1);
    group.shows("told", "leader 1\n").await;
    for term in 2..9 {
        group.stands(Role::Standby, term);
        group.stands(Role::Leader, term);
    }
    assert_eq!(group.text("told"), "leader 1\n");
    std::fs::write(group.path("go"), "").unwrap();
    let directory = group.end().await;
    let told = std::fs::read_to_string(directory.path().join("told")).unwrap();
    assert_eq!(told, "leader 1\nend\nleader 8\nend\n");
}

#[tokio::test]
async fn a_leader_in_trouble_is_told_that_it_leads_no_longer_first() {
    let group = Group::start(WRITE, GENEROUS);
    group.stands(Role::Leader, 1);
    group.shows("told", "leader 1\n").await;
    group.stands(Role::Fault, 1);
    group.shows("told", "leader 1\nstandby 1\nfault 1\n").await;
    let runs = Arc::clone(&group.runs);
    group.end().await;
    for role in Role::ALL {
        assert_eq!(counted(&runs, role), (1, 0), "{role:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_passes_is_none() {
    // No process here, which would not follow the paused clock: the hook that nobody named counts, too.
    let group = Group::start(WRITE, GENEROUS);
    let lines = Lines::default();
    let capturing = capture(&lines);
    group.hooks.send_modify(|hooks| {
        hooks.on_standby = None;
        hooks.on_leader = None;
    });
    for _ in 0..20 {
        group.stands(Role::Fault, 1);
        tokio::time::sleep(Duration::from_millis(1900)).await;
        group.stands(Role::Standby, 1);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    group.end().await;
    drop(capturing);
    assert_eq!(lines.all(), Vec::<String>::new());
}

#[tokio::test]
async fn a_hook_that_hangs_is_killed_with_all_that_it_started() {
    let lines = Lines::default();
    let capturing = capture(&lines);
    // The pipe has a reader until all who have it open for writing are gone.
    let group = Group::start(
        "mkfifo $d/alive; (echo up; exec sleep 600) >$d/alive & echo hangs; exec sleep 600",
        Duration::from_secs(1),
    );
    group.stands(Role::Leader, 1);
    let pipe = group.path("alive");
    while !pipe.exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let all_gone = tokio::task::spawn_blocking(move || std::fs::read_to_string(pipe).unwrap());
    let said = tokio::time::timeout(GENEROUS, all_gone).await;
    assert_eq!(said.expect("one of them lives").unwrap(), "up\n");
    let runs = Arc::clone(&group.runs);
    group.end().await;
    drop(capturing);
    let log = lines.all().join("\n");
    assert!(
        log.contains("did not end within 1s, and was killed"),
        "{log}"
    );
    assert_eq!(counted(&runs, Role::Leader), (0, 1));
    assert!(log.contains("line=\"hangs\""), "{log}");
}

#[tokio::test]
async fn what_a_hook_leaves_in_the_background_delays_nobody() {
    let group = Group::start(
        &format!("mkfifo $d/end; (read x <$d/end; echo background >>$d/told) & {WRITE}"),
        GENEROUS,
    );
    group.stands(Role::Leader, 1);
    group.shows("told", "leader 1\n").await;
    let (end, told) = (group.path("end"), group.path("told"));
    let directory = group.end().await;
    // It lives on, with nobody to read what it prints.
    tokio::task::spawn_blocking(move || std::fs::write(end, "\n").unwrap())
        .await
        .unwrap();
    let written = async {
        while std::fs::read_to_string(&told).unwrap() != "leader 1\nbackground\n" {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(GENEROUS, written).await.unwrap();
    drop(directory);
}

#[tokio::test]
async fn a_hook_that_prints_without_end_fills_no_log() {
    let lines = Lines::default();
    let capturing = capture(&lines);
    let group = Group::start(
        "yes $(head -c 5000 /dev/zero | tr '\\0' x) | head -n 500",
        GENEROUS,
    );
    group.stands(Role::Standby, 1);
    group.end().await;
    drop(capturing);
    let log = lines.all();
    assert_eq!(
        log.len(),
        102,
        "100 lines, that there are more, and the end"
    );
    assert!(log.iter().all(|line| line.len() < 1200));
}

#[tokio::test]
async fn a_reload_names_other_hooks() {
    let group = Group::start(WRITE, GENEROUS);
    let told = group.path("told");
    group.stands(Role::Leader, 1);
    group.shows("told", "leader 1\n").await;
    group.hooks.send_modify(|hooks| {
        hooks.on_standby = Some(format!("echo other >>{}", told.display()));
    });
    group.stands(Role::Standby, 2);
    group.shows("told", "leader 1\nother\n").await;
}
