//! Pure: what the operator is told about the configuration: what is wrong with it ([`Problem`]) and
//! what is worth a look ([`Warning`]).

use std::collections::BTreeSet;
use std::error::Error;
use std::{fmt, io};

use thiserror::Error;

use super::describe::plain;
use super::duration::{self, Go};
use super::origin::{Origin, Sourced, Written};

/// One remark on one value.
#[derive(Clone, Debug)]
pub struct Report<K> {
    /// The setting, by its present name.
    pub setting: String,
    /// What was written, unless it is a secret or nothing.
    pub value: Option<String>,
    /// Where it was written.
    pub origin: Origin,
    /// What there is to say.
    pub kind: K,
}

/// Why the configuration cannot be used.
pub type Problem = Report<Fault>;

/// What is probably not meant, although it can be used.
pub type Warning = Report<Caution>;

/// Everything that is wrong with a configuration; never empty.
#[derive(Debug)]
pub struct Problems(pub Vec<Problem>);

/// What is wrong with a value, and what would be right.
#[derive(Debug, Error)]
#[expect(
    missing_docs,
    reason = "the messages say it, and fields are the words in them"
)]
pub enum Fault {
    // Files.
    #[error(
        "is not given; name vip-manager's file: --vip-manager-config=/etc/vip-manager.yml, or a directory of \
         such files: --config-dir (where there is none, status, switchover, drain and resume take --trigger-key=KEY instead)"
    )]
    NoFile,
    #[error("cannot be read; it must exist and be readable by this user")]
    Unreadable(#[source] io::Error),
    #[error("cannot be read; it must be a directory that this user may list")]
    UnreadableDirectory(#[source] io::Error),
    #[error("is not UTF-8 text")]
    NotText,
    #[error("is not YAML: {reason}")]
    NotYaml { reason: String },
    #[error("is empty; write at least dcs-type, dcs-endpoints and trigger-key")]
    EmptyFile,
    #[error("is {found}, not a mapping; write it like `{example}`")]
    NotAMapping {
        found: &'static str,
        example: &'static str,
    },
    #[error("is {found}, not a list; write it like `{example}`")]
    NotAList {
        found: &'static str,
        example: &'static str,
    },
    #[error(
        "holds {found}; write each as `- 2001:db8::10`, or as `- {{ip: 2001:db8::10, netmask: 64}}`"
    )]
    NotAnAddress { found: &'static str },
    #[error("is {found}; write one value")]
    NotOneValue { found: &'static str },
    #[error("is not one of our options; they are {known}")]
    UnknownOption { known: String },
    #[error("contradicts {other}, which means the same setting; keep {keep} alone")]
    SpellingsDiffer { other: Origin, keep: &'static str },
    #[error("differs from {other}, but one process has one value; write the same in both")]
    FilesDiffer { other: Origin },
    #[error(
        "belongs to one group, but there are {files} files; unset it, and write {key} into each file"
    )]
    SeveralGroups { files: usize, key: &'static str },
    #[error(
        "belongs to one group, but --config-dir is for many; unset it, and write {key} into each file"
    )]
    GroupsOfADirectory { key: &'static str },

    // Groups.
    #[error("is missing; write for example `{example}`")]
    Missing { example: &'static str },
    #[error("is not supported, only Consul is; write `dcs-type: consul`")]
    DcsType,
    #[error("names no key; write for example `{example}`")]
    NoKey { example: &'static str },
    #[error("holds {found:?}, which Consul does not take; use letters, digits and , - . / = ? & _")]
    KeyCharacter { found: char },
    #[error("holds `..`, which Consul does not take; write the key without it")]
    KeyDots,
    #[error("is the key of {other} too; give each group a key of its own")]
    SameKey { other: Origin },
    #[error("is the address of {other} too; give each group an address of its own")]
    SameAddress { other: Origin },
    #[error("is no IP address; write one like 192.168.0.10 or 2001:db8::10")]
    NoAddress,
    #[error("carries a prefix length; write `ip: {address}` and `netmask: {prefix}`")]
    AddressWithPrefix { address: String, prefix: String },
    #[error("is no address that a host can hold; write the virtual IP")]
    NoHostAddress,
    #[error("is no prefix length; write a number from 1 to {most}")]
    Netmask { most: u8 },
    #[error("is a dotted mask; write the prefix length: `netmask: {prefix}`")]
    DottedNetmask { prefix: u32 },
    #[error("is no interface of this host; `ip link` lists them")]
    NoInterface,
    #[error(
        "is no label for an address on {interface}; write {interface}, or a name that begins with it, like \
         {interface}:vip, of at most {most} letters"
    )]
    Label { most: usize, interface: String },
    #[error("is for an IPv6 address, and the kernel has labels for IPv4 alone; leave it out")]
    LabelOfIpv6,
    #[error(
        "means an address that moves through Hetzner's API, which --manage-vip does not call; leave \
         --manage-vip out and let vip-manager move it"
    )]
    Hetzner,
    #[error("is not known; write {known}")]
    NotOneOf { known: &'static str },
    #[error("is empty; give this host a name, or set --hostname")]
    NoHostName,
    #[error(
        "is no name of a host: write at most {most} bytes, on one line, and the same for vip-manager"
    )]
    TriggerValue { most: usize },

    // Session.
    #[error(transparent)]
    Duration(duration::ParseError),
    #[error("is outside of what Consul takes; write 10s to 24h")]
    Ttl,
    #[error("is more than Consul takes; write 60s or less")]
    LockDelay,
    #[error(
        "is too short with --manage-vip: a leader may keep the address without hearing from Consul \
         for as long as the lock-delay, never longer, so it could not be held; write 1s or more \
         (3s is the default)"
    )]
    LockDelayBelowLease,
    #[error("is given without check-id, the check to watch; name it, or leave check-mode out")]
    NothingToWatch,
    #[error(
        "differs from {other}, but with --check-mode=watch a process follows one check; write the same in \
         both, leave check-mode out, or run a process for each"
    )]
    ChecksToWatch { other: Origin },

    // Health, liveness, peers.
    #[error("is given beside {other}; keep one of them")]
    TwoProbes { other: Origin },
    #[error("is no URL; write one like http://127.0.0.1:80/health")]
    HealthUrl(#[source] url::ParseError),
    #[error("has a scheme that is not spoken here; write http:// or https://")]
    HealthScheme,
    #[error(
        "holds a user or a password, which anybody could read in the log; leave them out, or let \
         --health-command do the asking"
    )]
    HealthCredentials,
    #[error("is out of range; write {least} to {most}")]
    TimeRange { least: Go, most: Go },
    #[error("is not usable; write a whole number from {least} to {most}")]
    NumberRange { least: String, most: String },
    #[error("is too short to be kept alive; write 1s or more, or 0s for none (3s is the default)")]
    LivenessTtl,
    #[error("is out of range; write 1s to 24h, or 0s for none (1m is the default)")]
    AnnounceRefresh,
    #[error(
        "is too short for this lock-delay: if the daemon and what it serves are killed together, the \
         kernel takes the address away too late; write {least} or more"
    )]
    LivenessBelowKernel { least: Go },
    #[error(
        "is no address to listen on; write one of this host's with a port, like 0.0.0.0:8547 or \
         [::]:8547"
    )]
    PeerListen,

    #[error(
        "is no address to listen on; write one of this host's with a port, like 127.0.0.1:8548 or \
         [::1]:8548, or off"
    )]
    Listen,

    // Consul.
    #[error("names no endpoint; write for example http://127.0.0.1:8500")]
    NoEndpoint,
    #[error("is no URL; write host:port, http://host:port, https://host:port or unix:///path")]
    Url(#[source] url::ParseError),
    #[error("has a scheme that is not spoken here; write http://, https:// or unix://")]
    Scheme,
    #[error("has no absolute path; write unix:///path/to/socket")]
    SocketPath,
    #[error(
        "holds a user or a password; write user:password into CONSUL_HTTP_AUTH, or into the file of \
         --http-auth-file"
    )]
    Credentials,
    #[error("goes on with ? or # after the path; leave that out")]
    UrlTail,
    #[error("cannot be sent in an HTTP header; write one line of printable ASCII")]
    NotAHeader,
    #[error("is empty; write {wanted} into it")]
    EmptySecretFile { wanted: &'static str },
    #[error("is no PEM file of {kind}: it has no block {wanted:?}; {hint}")]
    NotPem {
        kind: &'static str,
        wanted: &'static str,
        hint: &'static str,
    },
    #[error("holds a certificate that cannot be read; copy the file anew")]
    BrokenCertificate,
    #[error("holds a private key that cannot be read; copy the file anew")]
    BrokenKey,
    #[error(
        "holds an encrypted private key, and nobody is there to type its password; write it \
         unencrypted, with openssl pkey -in OLD -out NEW"
    )]
    EncryptedKey,
    #[error(
        "holds a private key that is broken, or of a kind that is not spoken here; make one of RSA \
         from 2048 bits on, ECDSA P-256 or P-384, or Ed25519"
    )]
    KeyKind,
    #[error("belongs to another key than that of {key}; name the two that belong together")]
    NotAPair { key: String },
    #[error("is given without {missing}; set both or neither")]
    Partner { missing: &'static str },
    #[error("holds no certificate; put the CA's there, in PEM")]
    NoCertificates,
    #[error(
        "is no host name; write the one that Consul's certificate carries, like server.dc1.consul"
    )]
    ServerName,
}

/// What is worth a look, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[expect(
    missing_docs,
    reason = "the messages say it, and fields are the words in them"
)]
pub enum Caution {
    #[error("is an older name; write {new}")]
    OlderName { new: String },
    #[error("is not known, and ignored; mend its name, or leave it out")]
    UnknownKey,
    #[error(
        "is written as this host's value, but vip-manager compares with the full host name {full} \
         unless told otherwise; write `trigger-value: {short}` into the file that both read, or set \
         --hostname={full}"
    )]
    ShortHostName { short: String, full: String },
    #[error(
        "is written as this host's value, but vip-manager compares with {other}; write the same in both"
    )]
    NotTheTriggerValue { other: String },
    #[error(
        "is below 2.5s, so the kernel alone cannot take the address away in time: if the daemon and \
         what it serves are killed together, two hosts may hold it for a moment; 2.5s or more \
         excludes that"
    )]
    KernelTooLate,
    #[error(
        "leaves the address up when the daemon is killed or frozen, while another host takes it; write \
         auto unless another program of this host cannot bear the refresh events"
    )]
    NoKernelLease,
    #[error(
        "is more than this host: whoever reaches it can read, unencrypted, who leads and what goes wrong; \
         write 127.0.0.1 unless the network keeps strangers out"
    )]
    ListensBeyond,
    #[error(
        "leaves Consul's certificate unverified, so anybody in between can pose as Consul; name its CA \
         with --ca-file instead"
    )]
    Unverified,
    #[error(
        "is on the command line, where every user of this host can read it; write it into a file, and \
         name that with --token-file"
    )]
    InProcessList,
    #[error(
        "is no interface of this host, so that this group waits for it; `ip link` lists those that are there"
    )]
    NoInterfaceYet,
    #[error(
        "differs from {other}: each ends the sessions of its own groups, but the maintenance of the services that \
         own them is not noticed, only that of the node; run a process for each check where that matters"
    )]
    SeveralChecks { other: Origin },
    #[error(
        "lies in {folders} folders, and each is watched by itself; groups whose keys share one, like \
         service/vips/web and service/vips/db, share the watching"
    )]
    ManyFolders { folders: usize },
    #[error("means nothing without {without}; add that, or leave this out")]
    Idle { without: &'static str },
    #[error(
        "is at least half the ttl of the session, so a daemon that is killed or frozen is hardly missed \
         sooner for it; write less than {half}"
    )]
    LivenessTooLong { half: Go },
}

/// What was found while reading.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Warning>,
}

impl Findings {
    /// Drops what was found twice: several groups share the environment and the host's name.
    pub(super) fn without_repetitions(mut self) -> Self {
        unique(&mut self.problems);
        unique(&mut self.warnings);
        self
    }

    pub(super) fn problem(&mut self, setting: &str, at: &Written, kind: Fault) {
        let (value, origin) = (Some(at.value.clone()), at.origin.clone());
        self.problems.push(Report {
            setting: setting.to_owned(),
            value,
            origin,
            kind,
        });
    }

    /// A problem whose value is secret, or not there.
    pub(super) fn problem_at(&mut self, setting: &str, origin: &Origin, kind: Fault) {
        let origin = origin.clone();
        self.problems.push(Report {
            setting: setting.to_owned(),
            value: None,
            origin,
            kind,
        });
    }

    pub(super) fn warning(&mut self, setting: &str, at: &Written, kind: Caution) {
        let (value, origin) = (Some(at.value.clone()), at.origin.clone());
        self.warnings.push(Report {
            setting: setting.to_owned(),
            value,
            origin,
            kind,
        });
    }

    pub(super) fn warning_at(&mut self, setting: &str, origin: &Origin, kind: Caution) {
        let origin = origin.clone();
        self.warnings.push(Report {
            setting: setting.to_owned(),
            value: None,
            origin,
            kind,
        });
    }

    /// The meaning of a value, or a problem and nothing.
    pub(super) fn accept<T>(
        &mut self,
        setting: &str,
        written: &Written,
        meaning: Result<T, Fault>,
    ) -> Option<Sourced<T>> {
        match meaning {
            Ok(value) => Some(written.means(value)),
            Err(fault) => {
                self.problem(setting, written, fault);
                None
            }
        }
    }
}

fn unique<K: fmt::Display>(reports: &mut Vec<Report<K>>) {
    let mut seen = BTreeSet::new();
    reports.retain(|report| seen.insert(report.to_string()));
}

impl<K: fmt::Display> fmt::Display for Report<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&plain(&self.setting))?;
        if let Some(value) = &self.value {
            write!(f, " {value:?}")?;
        }
        if self.origin != Origin::Default {
            write!(f, " ({})", plain(&self.origin.to_string()))?;
        }
        write!(f, " {}", plain(&self.kind.to_string()))
    }
}

impl Error for Problem {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.kind.source()
    }
}

/// One line a problem, each with its causes.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.0.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
            let mut cause = problem.source();
            while let Some(error) = cause {
                write!(f, ": {}", plain(&error.to_string()))?;
                cause = error.source();
            }
        }
        Ok(())
    }
}

impl Error for Problems {}
