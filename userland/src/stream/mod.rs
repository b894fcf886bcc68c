//! Standard input, output and error.
crate::behaviour::behaviours! { "stream": both_outputs }
