//! Who is at the command line, where nobody says.

use sesshu_engine::limits::RECORDED_BY_CHARACTERS_MAX;

/// The user of this machine, by name if the environment says it, else by number.
pub(super) fn user() -> String {
    let named = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).ok().filter(|name| !name.is_empty());
    let named = named.unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()));
    named.chars().take(RECORDED_BY_CHARACTERS_MAX).collect()
}
