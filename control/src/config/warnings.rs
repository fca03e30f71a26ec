//! What is valid, but may not do what it should.

use super::{Config, NumberForm};

impl Config {
    /// What an operator should look at, one sentence each; for the log and `check-config`.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let trunks = self.trunks.iter().enumerate();
        let rewritten = trunks.filter(|(index, trunk)| {
            let has_users = self.realms.iter().any(|realm| realm.trunk == *index);
            let is_rewritten = match trunk.numbers.outbound {
                NumberForm::AsIs => false,
                NumberForm::E164 | NumberForm::E164WithoutPlus | NumberForm::National => has_users,
            };
            // Of a gateway by the environment, which has no realms.
            let only_users = self.realms.is_empty() && self.lines.entries.is_empty();
            let is_replaced = trunk.called_number.is_some() && (has_users || only_users);
            trunk.account.is_none() && (is_rewritten || is_replaced)
        });
        let warning = |name: &str| {
            format!(
                "trunk `{name}`: browsers of its realms answer its challenges themselves, for the \
                 number as they dial it; a carrier that challenges INVITEs and compares that with \
                 the Request-URI, which `outbound` or `called_number` rewrites, refuses them"
            )
        };
        rewritten.map(|(_, trunk)| warning(&trunk.name)).collect()
    }
}
