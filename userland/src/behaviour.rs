//! What a behaviour is, the table macro that each subject uses, and the state every behaviour
//! starts from.

use crate::sys::{self, Plain};
use std::ffi::CStr;

/// One program of the suite.
pub(crate) struct Behaviour {
    /// `subject/name`, as given to `behave`.
    pub(crate) name: &'static str,
    /// What the runner must know: `signal:N` and `exit:N` (the expected end when it isn't
    /// exit 0), `root` (needs user 0), `threads` (uses pthreads), `in` (reads standard input),
    /// `slow` (takes more than a second), `cpu` (prints what only a real processor does exactly:
    /// under an emulator, ours is compared for survival alone), `absent` (lines `NUMBER ...` may say ENOSYS
    /// throughout where that call is documented as absent), `alone` (for a machine of its own: the host isn't asked,
    /// and all that counts is that the last line is `still here`).
    pub(crate) tags: &'static [&'static str],
    pub(crate) run: fn(&[&CStr]) -> i32,
}

/// Declares a subject's modules, one per behaviour, and its table `ALL`.
macro_rules! behaviours {
    ($subject:literal: $($name:ident $([$($tag:literal),+])?),+ $(,)?) => {
        $(mod $name;)+
        /// The behaviours of this subject, in the order in which they run.
        pub(crate) const ALL: &[$crate::behaviour::Behaviour] = &[
            $($crate::behaviour::Behaviour {
                name: concat!($subject, "/", stringify!($name)),
                tags: &[$($($tag),+)?],
                run: $name::run,
            }),+
        ];
    };
}
pub(crate) use behaviours;

/// Brings descriptors, umask and the core limit to a known state: a caller may have leaked any.
pub(crate) fn prepare() {
    let _ = sys::file::close_range(3, u32::MAX, 0);
    let _ = sys::file::umask(0o022);
    let mut limit = libc::rlimit64::zeroed();
    if sys::process::prlimit64(0, libc::RLIMIT_CORE, None, Some(&mut limit)).is_ok() {
        limit.rlim_cur = 0;
        let _ = sys::process::prlimit64(0, libc::RLIMIT_CORE, Some(&limit), None);
    }
}
