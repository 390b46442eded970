//! `--who` and `--reason`: who sends rows of a register.

use clap::Args;
use sesshu_engine::intake;

use super::who::user;
use crate::failure::Failure;

/// The options of commands that send rows.
#[derive(Debug, Args)]
pub(super) struct Sender {
    /// Who sends them, at most 40 characters; the history of each row keeps it [default: the user of this machine]
    #[arg(long, value_name = "NAME")]
    who: Option<String>,
    /// Why, at most 100 characters; the history of each row keeps it
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
}

impl Sender {
    /// Who it is.
    pub(super) fn checked(&self) -> Result<intake::Sender, Failure> {
        let sender = intake::Sender::check(self.who.clone().unwrap_or_else(user), self.reason.clone());
        sender.map_err(|fault| Failure::Request(fault.to_string()))
    }
}
