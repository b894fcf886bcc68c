//! A directory of its own for a behaviour that makes files: current while it lives, gone after.

use crate::sys;
use std::ffi::CString;

/// The directory `/tmp/behave.PID`. Dropping it goes back to `/` and removes the tree.
pub(crate) struct Scratch {
    path: String,
}

impl Scratch {
    /// Makes the directory and enters it.
    pub(crate) fn enter() -> Self {
        let path = format!("/tmp/behave.{}", sys::process::getpid().unwrap_or(0));
        let _ = sys::file::mkdir(c"/tmp", 0o1777);
        let _ = std::fs::remove_dir_all(&path);
        let name = CString::new(path.as_str()).unwrap_or_default();
        crate::out::show("scratch", sys::file::mkdir(&name, 0o755));
        crate::out::show("enter", sys::file::chdir(&name));
        Self { path }
    }

    /// The directory's absolute path.
    #[allow(
        dead_code,
        reason = "for behaviours that pass the path to other programs"
    )]
    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = sys::file::chdir(c"/");
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
