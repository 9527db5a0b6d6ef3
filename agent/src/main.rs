//! The agent's program.

mod cli;
mod memory;

fn main() -> std::process::ExitCode {
    memory::keep_one_heap();
    cli::main()
}
