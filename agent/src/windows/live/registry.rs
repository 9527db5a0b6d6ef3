//! Values below `HKEY_LOCAL_MACHINE`.

use serde_json::Value;
use windows_registry::{LOCAL_MACHINE, Type};

pub(super) fn value(key: &str, name: &str) -> Option<Value> {
    let key = LOCAL_MACHINE.open(key).ok()?;
    match key.get_type(name).ok()? {
        Type::U32 => key.get_u32(name).ok().map(Value::from),
        Type::U64 => key.get_u64(name).ok().map(Value::from),
        Type::String | Type::ExpandString => key.get_string(name).ok().map(Value::from),
        Type::MultiString => key.get_multi_string(name).ok().map(Value::from),
        _ => None,
    }
}

pub(super) fn has_key(key: &str) -> bool {
    LOCAL_MACHINE.open(key).is_ok()
}
