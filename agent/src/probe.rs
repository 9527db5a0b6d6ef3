//! Probes: each looks at another device from here. Names of targets leave the machine, addresses never do.

/// The name by which the default gateway goes.
pub const GATEWAY: &str = "gateway";
