//! What another process may have left in the runtime directory.

use std::cell::RefCell;
use std::fs;
use std::net::IpAddr;

use vip_elector::driver::Memory;
use vip_elector::election::call::SessionId;
use vip_elector::election::note::{Before, Note};
use vip_elector::runtime::RuntimeDirectory;
use vip_elector::runtime::address::AddressFile;
use vip_elector::runtime::session::SessionFile;

struct Files {
    session: SessionFile,
    address: AddressFile,
    _directory: tempfile::TempDir,
}

thread_local! {
    static FILES: RefCell<Option<Files>> = const { RefCell::new(None) };
}

pub(crate) fn take(input: &[u8]) {
    FILES.with_borrow_mut(|files| look(files.get_or_insert_with(files_of_a_group), input));
}

fn files_of_a_group() -> Files {
    let directory = tempfile::tempdir().expect("a directory for files");
    let runtime = RuntimeDirectory::of(directory.path().to_str());
    let terms = "ttl=10s lock-delay=3s check-id=".to_owned();
    Files {
        session: SessionFile::of(&runtime, "key", "web1", terms).expect("a name"),
        address: AddressFile::of(&runtime, "key", IpAddr::from([192, 0, 2, 1])),
        _directory: directory,
    }
}

fn look(files: &mut Files, input: &[u8]) {
    // What is in the file is the input, or a record whose texts are from it.
    fs::write(files.address.path(), input).expect("a file");
    if let Some(record) = files.address.read() {
        files.address.write(&record).expect("a file");
        assert_eq!(files.address.read(), Some(record), "read as it was written");
    }
    fs::write(files.session.path(), input).expect("a file");
    match files.session.before() {
        Before::Nothing => {}
        Before::Adoptable { name, session } => read_back(files, name, session),
        Before::Leftover { name, session } => {
            read_back(files, name, session.unwrap_or_else(|| SessionId::new("")));
        }
    }
    let text = String::from_utf8_lossy(input);
    let (name, session) = text.split_once('\n').unwrap_or((&text, ""));
    // As long as Consul's names and sessions are at most.
    let short = |text: &str| text.chars().take(256).collect::<String>();
    read_back(files, short(name), SessionId::new(short(session)));
}

/// What was remembered is what the next process finds.
fn read_back(files: &mut Files, name: String, session: SessionId) {
    let live = Note::Live {
        name: name.clone(),
        session: session.clone(),
    };
    assert_eq!(files.session.remember(&live), (true, None));
    let found = Before::Adoptable {
        name: name.clone(),
        session: session.clone(),
    };
    assert_eq!(files.session.before(), found);
    let spent = Note::Spent {
        name: name.clone(),
        session: session.clone(),
    };
    assert_eq!(files.session.remember(&spent), (true, None));
    let found = Before::Leftover {
        name,
        session: Some(session),
    };
    assert_eq!(files.session.before(), found);
}
