//! The programs as they are built and packaged for other systems. `tests/cross` builds them, says in the environment
//! where they are, and runs these tests; the ordinary run leaves them out.

mod foreign;
