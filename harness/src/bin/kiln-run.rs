//! The launcher behind `run.sh`.
fn main() {}
