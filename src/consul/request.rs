//! Pure: one request to Consul, and the URL it becomes.

use url::Url;

use super::binding::LIVENESS_SERVICE;
use crate::acl::Rule;

/// What a request is about: decides how its answer is sorted and which right it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    CreateSession,
    RenewSession,
    DestroySession,
    DeposeSession,
    ReadSession,
    ReadKey,
    Transact,
    ReadGroup,
    TransactGroup,
    ReadAgent,
    ReadChecks,
    WriteService,
    PassCheck,
    RemoveService,
}

impl Operation {
    /// Returns the ACL rules that allow it: on `about`, a trigger key or a node, or on any such.
    fn right(self, about: Option<&str>) -> String {
        let key = about.unwrap_or("<trigger key>");
        let rule = match self {
            Self::CreateSession | Self::RenewSession | Self::DestroySession => {
                Rule::write("session", about.unwrap_or("<this node>"))
            }
            Self::DeposeSession => Rule::write("session_prefix", ""),
            Self::ReadSession => Rule::read("session_prefix", ""),
            Self::ReadKey | Self::Transact => Rule::write("key", key),
            Self::ReadGroup | Self::TransactGroup => Rule::write("key_prefix", format!("{key}/")),
            Self::ReadAgent => Rule::read("agent_prefix", ""),
            Self::ReadChecks => {
                let (nodes, services) = (
                    Rule::read("node_prefix", ""),
                    Rule::read("service_prefix", ""),
                );
                return format!("{nodes} and {services}");
            }
            Self::WriteService | Self::PassCheck | Self::RemoveService => {
                Rule::write("service", LIVENESS_SERVICE)
            }
        };
        rule.to_string()
    }
}

/// GET or PUT: Consul's API needs no other here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    /// With a JSON body, or an empty one.
    Put(Option<Vec<u8>>),
}

/// A request that any endpoint can be asked.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) operation: Operation,
    /// For messages, as it continues "cannot": `read key 'x'`.
    pub(super) doing: String,
    pub(super) method: Method,
    about: Option<String>,
    segments: Vec<String>,
    query: Vec<(&'static str, String)>,
    /// How many bytes more than any other the answer may have.
    pub(super) room: usize,
}

impl Request {
    /// A GET of `/v1/<path>`.
    pub(super) fn get(operation: Operation, path: &str, doing: String) -> Self {
        Self::new(operation, Method::Get, path, doing)
    }

    /// A PUT to `/v1/<path>`.
    pub(super) fn put(
        operation: Operation,
        path: &str,
        body: Option<Vec<u8>>,
        doing: String,
    ) -> Self {
        Self::new(operation, Method::Put(body), path, doing)
    }

    fn new(operation: Operation, method: Method, path: &str, doing: String) -> Self {
        let segments = path.split('/').map(String::from).collect();
        Self {
            operation,
            doing,
            method,
            about: None,
            segments,
            query: Vec::new(),
            room: 0,
        }
    }

    /// Lets the answer have so many bytes more than any other.
    pub(super) fn with_room(mut self, bytes: usize) -> Self {
        self.room = bytes;
        self
    }

    /// Names the trigger key or the node that it is about, for whoever has to grant a right.
    pub(super) fn about(mut self, name: Option<&str>) -> Self {
        self.about = name.map(String::from);
        self
    }

    /// Returns the ACL rules that it needs.
    pub(super) fn right(&self) -> String {
        self.operation.right(self.about.as_deref())
    }

    /// Appends what came from outside to the path; a slash in it separates, all else is encoded.
    pub(super) fn path(mut self, rest: &str) -> Self {
        self.segments.extend(rest.split('/').map(String::from));
        self
    }

    /// Appends what came from outside to the path, a slash in it encoded as well.
    pub(super) fn segment(mut self, one: &str) -> Self {
        self.segments.push(one.to_owned());
        self
    }

    /// Appends a query parameter. An empty value leaves the bare name, which is how Consul's
    /// switches (`consistent`, `stale`) are written.
    pub(super) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// Returns the URL of this request at an endpoint, with the parameters that go everywhere.
    pub(super) fn url(&self, base: &Url, everywhere: &[(&'static str, String)]) -> Url {
        let mut url = base.clone();
        // Only a URL without a host has no path segments, and an endpoint always has one.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push("v1").extend(&self.segments);
        }
        if !self.query.is_empty() || !everywhere.is_empty() {
            let mut pairs = url.query_pairs_mut();
            for (name, value) in self.query.iter().chain(everywhere) {
                if value.is_empty() {
                    pairs.append_key_only(name);
                } else {
                    pairs.append_pair(name, value);
                }
            }
        }
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_keeps_its_slashes_and_everything_else_is_encoded() {
        let request = Request::get(Operation::ReadKey, "kv", String::new())
            .path("service/my cluster/a?b#c%d/lock")
            .query("consistent", "");
        assert_eq!(
            url_of(&request, "http://127.0.0.1:8500"),
            "http://127.0.0.1:8500/v1/kv/service/my%20cluster/a%3Fb%23c%25d/lock?consistent"
        );
    }

    #[test]
    fn a_segment_cannot_climb_out_of_its_place() {
        let request =
            Request::get(Operation::ReadSession, "session/info", String::new()).segment("a/../b");
        assert_eq!(
            url_of(&request, "http://h"),
            "http://h/v1/session/info/a%2F..%2Fb"
        );
    }

    #[test]
    fn an_endpoint_may_have_a_path_in_front() {
        let request = Request::get(Operation::ReadAgent, "agent/self", String::new());
        assert_eq!(
            url_of(&request, "https://h/consul/"),
            "https://h/consul/v1/agent/self"
        );
        assert_eq!(
            url_of(&request, "https://h/consul"),
            "https://h/consul/v1/agent/self"
        );
    }

    #[test]
    fn namespace_and_partition_go_everywhere() {
        let request = Request::get(Operation::ReadKey, "kv", String::new())
            .path("k")
            .query("index", "7")
            .query("stale", "");
        let url = request.url(
            &"http://h".parse().unwrap(),
            &[("ns", "team a".to_owned()), ("partition", "p".to_owned())],
        );
        assert_eq!(
            url.as_str(),
            "http://h/v1/kv/k?index=7&stale&ns=team+a&partition=p"
        );
    }

    fn url_of(request: &Request, base: &str) -> String {
        request.url(&base.parse().unwrap(), &[]).into()
    }
}
