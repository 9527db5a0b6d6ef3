//! Leaves the tables for unwinding out of the program that is installed: 0.6 MB of 6, and nothing reads them. A panic there
//! ends the process after it has said where it was (profile `agent`), and without symbols a backtrace would tell no more.
//!
//! Compilers for Linux make these tables in any case, and a profile has no key against it; so the linker drops them.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=small.ld");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|it| it == value);
    // The one profile that is built for size.
    if is("OPT_LEVEL", "s") && is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu") {
        let folder = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{folder}/small.ld");
    }
}
