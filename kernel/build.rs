//! Hands the linker script to the linker.

fn main() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/linker.ld");
    println!("cargo:rerun-if-changed={script}");
    println!("cargo:rustc-link-arg-bins=-T{script}");
    for arg in [
        "--no-dynamic-linker",
        "--build-id=none",
        "-zmax-page-size=4096",
        "-znognustack",
        "--icf=all",
    ] {
        println!("cargo:rustc-link-arg-bins={arg}");
    }
}
