//! execve: arguments, environment, the auxiliary vector, scripts, errors, what survives.
crate::behaviour::behaviours! { "exec":
    arguments, errors, close_on_exec,
}

/// This very binary, however it was started.
const SELF: &std::ffi::CStr = c"/proc/self/exe";
