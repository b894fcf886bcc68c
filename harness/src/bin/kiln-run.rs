//! The launcher behind `run.sh`.

use std::process::ExitCode;

use kiln_harness::cli;
use kiln_harness::qemu::Guest;

fn main() -> ExitCode {
    cli::main(Guest::Kiln)
}
