//! Who is at the command line, where nobody says.

/// The user of this machine, by name if the environment says it, else by number.
pub(super) fn user() -> String {
    let named = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).ok().filter(|name| !name.is_empty());
    named.unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()))
}
