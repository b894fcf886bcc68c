//! The command behind `harness/compare.sh`.

use std::process::ExitCode;

fn main() -> ExitCode {
    kiln_harness::compare::main()
}
