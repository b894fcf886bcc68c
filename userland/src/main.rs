//! Small Linux programs, one per behaviour, each run on the host's Linux (its oracle) and on Kiln.
fn main() {}
