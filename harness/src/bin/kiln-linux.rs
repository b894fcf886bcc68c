//! The launcher behind `harness/linux.sh`: the same as `run.sh`'s, on Debian's kernel.

use std::process::ExitCode;

use kiln_harness::cli;
use kiln_harness::qemu::Guest;

fn main() -> ExitCode {
    cli::main(Guest::Linux)
}
