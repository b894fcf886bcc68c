//! execve: arguments, environment, the auxiliary vector, scripts, errors, what survives.
mod image;

crate::behaviour::behaviours! { "exec":
    arguments, many_arguments, too_big, no_arguments, auxiliary_vector, initial_stack,
    initial_registers, static_image, segments, zero_fill, malformed, script, script_nested,
    script_errors, errors, permission ["root"], close_on_exec, signals_kept, same_process,
    text_busy, exec_at, floating_point, name_kept, rights ["root"],
}

/// This very binary, however it was started.
pub(crate) const SELF: &std::ffi::CStr = c"/proc/self/exe";

/// The same, as an absolute path that a `#!` line can hold.
pub(crate) fn own_path() -> String {
    let mut buf = [0u8; 4096];
    let len = crate::sys::file::readlink(SELF, &mut buf).unwrap_or(0);
    String::from_utf8_lossy(&buf[..len]).into_owned()
}
