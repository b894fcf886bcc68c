//! Mounts. On Linux each behaviour runs in a mount namespace of its own; Kiln has one, in a VM that ends.
use crate::sys::{file, process};
use std::ffi::CStr;

crate::behaviour::behaviours! { "mount":
    bind ["root"], bind_recursive ["root"], flags ["root"], moving ["root"], unmounting ["root"], expiring ["root"],
    errors ["root"], propagation ["root"], pivot ["root"], tmpfs_options ["root"], tmpfs_full ["root"],
    by_descriptor ["root"], tree_descriptor ["root"], stacking ["root"], noticed ["root"], root_of_devices ["root"],
    file_flags ["root"], access_lists ["root"], names_refused ["root"], shared ["root"],
    shared_within ["root"], many_peers ["root"], options_refused ["root"],
}

/// Keeps what is mounted here from the rest of the machine, where that can be.
fn alone() {
    let _ = process::unshare(libc::CLONE_NEWNS);
    let _ = file::mount(c"none", c"/", c"", libc::MS_REC | libc::MS_PRIVATE, None);
}

/// A scratch directory with a tmpfs on `t` in it, and a file `t/f`.
fn with_tmpfs() -> crate::scratch::Scratch {
    alone();
    let dir = crate::scratch::Scratch::enter();
    let _ = file::mkdir(c"t", 0o755);
    crate::out::show("mount", mount(c"t", c"t", c"tmpfs", 0));
    file::make(c"t/f", b"text", 0o644);
    dir
}

/// Says how a mount is to propagate.
fn set(path: &CStr, flags: u64) {
    crate::out::show("  set", mount(c"none", path, c"", flags));
}

/// Mounts a new file system.
fn new(path: &CStr) {
    crate::out::show("  mount", mount(c"new", path, c"tmpfs", 0));
}

fn show_bind(from: &CStr, to: &CStr, flags: u64) {
    crate::out::show("  bind", mount(from, to, c"", libc::MS_BIND | flags));
}

/// What `/proc/self/mountinfo` says of the mounts whose places end so: root, flags, how they propagate,
/// type, source and options.
fn info(end: &str) -> Vec<String> {
    let text = file::slurp(c"/proc/self/mountinfo").unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let line = |line: &str| {
        let (first, second) = line.split_once(" - ")?;
        let mut fields = first.split(' ').skip(3);
        let (root, place, flags) = (fields.next()?, fields.next()?, fields.next()?);
        // Groups are numbered as it comes.
        let optional: Vec<&str> = fields
            .map(|field| field.split(':').next().unwrap_or(""))
            .collect();
        let root = if root.contains("behave.") {
            "inside"
        } else {
            root
        };
        place
            .ends_with(end)
            .then(|| format!("{root} {flags} {optional:?} {second}"))
    };
    text.lines().filter_map(line).collect()
}

/// Prints what `info` finds.
fn show_info(end: &str) {
    for line in info(end) {
        crate::out::line(&format!("  {line}"));
    }
}

/// `mount` without options.
fn mount(source: &CStr, target: &CStr, kind: &CStr, flags: u64) -> crate::sys::Res {
    file::mount(source, target, kind, flags, None)
}
