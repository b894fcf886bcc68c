//! Names of unix sockets: paths, abstract names, names given by the kernel; who may have them and
//! what refers to them.
use crate::out::{say, show, show_ok};
use crate::scratch::Scratch;
use crate::sys::{Plain, file, net};
use libc::{AF_UNIX, SOCK_DGRAM, SOCK_STREAM};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    let s = net::open(AF_UNIX, SOCK_STREAM);
    show("bind", net::bind(s, &net::path(b"sock")));
    let mut stat = libc::stat::zeroed();
    show("stat", file::stat(c"sock", &mut stat));
    say!("mode {:o} {:?}", stat.st_mode, net::name(s));
    show("again", net::bind(s, &net::path(b"other")));
    let t = net::open(AF_UNIX, SOCK_STREAM);
    show("taken", net::bind(t, &net::path(b"sock")));
    show("no directory", net::bind(t, &net::path(b"none/sock")));
    show("empty", net::bind(t, b"\x01"));
    show("other family", net::bind(t, b"\x02\0x"));
    show("too long", net::bind(t, &[1; 111]));
    show_ok("open", file::open(c"sock", libc::O_RDONLY, 0));
    show("not listening", net::connect(t, &net::path(b"sock")));
    file::make(c"plain", b"", 0o644);
    show("plain file", net::connect(t, &net::path(b"plain")));
    show("nothing", net::connect(t, &net::path(b"nothing")));
    show("listen", net::listen(s, 1));
    let d = net::open(AF_UNIX, SOCK_DGRAM);
    show("other type", net::connect(d, &net::path(b"sock")));
    show("connect", net::connect(t, &net::path(b"sock")));
    say!("{:?} {:?}", net::peer(t), net::accept(s, 0).map(|(_, addr)| addr));
    show("unlink", file::unlink(c"sock"));
    let u = net::open(AF_UNIX, SOCK_STREAM);
    show("unlinked", net::connect(u, &net::path(b"sock")));
    show("the name again", net::bind(u, &net::path(b"sock")));
    let name = net::abstract_name(b"behave\0name");
    let v = net::open(AF_UNIX, SOCK_STREAM);
    show("abstract", net::bind(v, &name));
    say!("{:?}", net::name(v));
    let w = net::open(AF_UNIX, SOCK_STREAM);
    show("taken", net::bind(w, &name));
    let _ = file::close(v);
    show("free", net::bind(w, &name));
    show("by itself", net::bind(d, b"\x01\0"));
    say!("{:?}", net::name(d).map(|raw| (raw.len(), raw[2])));
    let e = net::open(AF_UNIX, SOCK_DGRAM);
    show("to a name", net::send_to(e, b"m", 0, &net::name(d).unwrap_or_default()));
    say!("{}", net::text(d, 9, 0));
    show("unlistened", net::listen(net::open(AF_UNIX, SOCK_STREAM), 1));
    show("datagrams", net::listen(d, 1));
    0
}
