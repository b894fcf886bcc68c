//! Exceptions from user mode and the signals they become.
mod probe;

crate::behaviour::behaviours! { "fault":
    divide ["signal:8"], null_read ["signal:11"], undefined ["signal:4"],
}
