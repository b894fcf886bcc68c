//! Clocks and sleeping.
crate::behaviour::behaviours! { "time": monotonic }
