//! The keys of a `[[trunk]]` that are about ringway's own account there.

use std::time::Duration;

use super::Source;
use crate::config::file::At;
use crate::config::{AccountConfig, ConfigError, LinesConfig, file};
use crate::limits::{TRUNK_REGISTER_EXPIRES_MAX_S, TRUNK_REGISTER_EXPIRES_MIN_S};
use crate::lines::find;

/// What a registration asks for unless told otherwise, in seconds.
const REGISTER_EXPIRES_DEFAULT_S: u32 = 3600;

pub(super) fn account(
    trunk: &file::Trunk,
    source: &Source<'_>,
) -> Result<Option<AccountConfig>, ConfigError> {
    let Some(at) = &trunk.username else {
        let others = [
            ("auth_username", &trunk.auth_username),
            ("auth_realm", &trunk.auth_realm),
            ("calls_to", &trunk.calls_to),
        ];
        for (key, value) in others {
            if let Some(at) = value {
                return Err(source.error(at, no_user(key), "add `username`, or take it out"));
            }
        }
        if let Some(at) = &trunk.password {
            return Err(source.error(at, no_user("password"), "add `username`"));
        }
        if let Some(at) = trunk.register.as_ref().filter(|at| *at.get_ref()) {
            return Err(source.error(at, no_user("register"), "add `username` and `password`"));
        }
        return Ok(None);
    };
    let username = text("username", at, source)?;
    let password = trunk.password.as_ref().map(|at| at.get_ref().clone());
    let Some(password) = password.filter(|password| !password.expose().is_empty()) else {
        let what = format!("`username` is `{username}`, but `password` is missing or empty");
        return Err(source.error(at, what, "add it"));
    };
    let optional = |key: &str, at: &At<String>| {
        let at = at.as_ref();
        at.map(|at| text(key, at, source)).transpose()
    };
    Ok(Some(AccountConfig {
        auth_username: optional("auth_username", &trunk.auth_username)?
            .unwrap_or_else(|| username.clone()),
        realm: optional("auth_realm", &trunk.auth_realm)?,
        calls_to: optional("calls_to", &trunk.calls_to)?,
        username,
        password,
        register_expires: register_expires(trunk, source)?,
    }))
}

/// The line that calls to an account ring at is there.
pub(super) fn check_lines(
    trunks: &[file::Trunk],
    lines: &LinesConfig,
    source: &Source<'_>,
) -> Result<(), ConfigError> {
    for at in trunks.iter().filter_map(|trunk| trunk.calls_to.as_ref()) {
        if find(lines, at.get_ref()).is_none() {
            let what = format!(
                "`calls_to` is `{}`, and there is no such line",
                at.get_ref()
            );
            return Err(source.error(at, what, "name the number of a [[line]]"));
        }
    }
    Ok(())
}

fn no_user(key: &str) -> String {
    format!("`{key}` belongs to an account, and `username` is missing")
}

/// What ends up in quotes in a header.
fn text(key: &str, at: &toml::Spanned<String>, source: &Source<'_>) -> Result<String, ConfigError> {
    let text = at.get_ref();
    if text.is_empty() || text.chars().any(char::is_control) {
        let what = format!("`{key}` is empty or has a control character");
        return Err(source.error(at, what, "write it as the carrier has given it"));
    }
    Ok(text.clone())
}

fn register_expires(
    trunk: &file::Trunk,
    source: &Source<'_>,
) -> Result<Option<Duration>, ConfigError> {
    let registers = trunk.register.as_ref().is_some_and(|at| *at.get_ref());
    let seconds = match &trunk.register_expires_s {
        Some(at) if !registers => {
            let what = "`register_expires_s` says nothing without `register = true`";
            return Err(source.error(at, what, "add that, or take it out"));
        }
        Some(at) => {
            let range = TRUNK_REGISTER_EXPIRES_MIN_S..=TRUNK_REGISTER_EXPIRES_MAX_S;
            let seconds = *at.get_ref();
            if !range.contains(&seconds) {
                let what = format!("`register_expires_s` cannot be {seconds}");
                let remedy = format!("write {} to {}", range.start(), range.end());
                return Err(source.error(at, what, &remedy));
            }
            seconds
        }
        None => REGISTER_EXPIRES_DEFAULT_S,
    };
    Ok(registers.then(|| Duration::from_secs(u64::from(seconds))))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::config::{AccountConfig, Config};

    fn check(keys: &str) -> Result<Option<AccountConfig>, String> {
        let trunk = "[[trunk]]\nname = \"a\"\ntarget = \"192.0.2.2\"\n";
        let text = format!("[sip]\nlisten = \"192.0.2.1:5060\"\n{trunk}{keys}");
        let config = Config::parse("test.toml", &text, &|_| None);
        let config = config.map_err(|error| error.to_string())?;
        Ok(config.trunks.first().expect("a trunk").account.clone())
    }

    #[test]
    fn an_account_has_a_name_and_a_password() {
        assert!(check("").expect("valid").is_none());
        let account = check("username = \"t1\"\npassword = \"pw\"").expect("valid");
        let account = account.expect("an account");
        assert_eq!(account.auth_username, "t1");
        assert_eq!(account.password.expose(), "pw");
        assert_eq!((account.realm, account.register_expires), (None, None));
        for keys in [
            "username = \"t1\"",
            "username = \"t1\"\npassword = \"\"",
            "username = \"\"\npassword = \"pw\"",
            "username = \"t\\u0007\"\npassword = \"pw\"",
            "password = \"pw\"",
            "auth_username = \"t1\"",
            "auth_realm = \"r\"",
            "register = true",
        ] {
            let error = check(keys).expect_err(keys);
            assert!(!error.contains("pw"), "{error}");
        }
    }

    #[test]
    fn calls_to_an_account_ring_at_a_line_that_there_is() {
        let account = "username = \"t1\"\npassword = \"pw\"\n";
        let calls_to = |number: &str| {
            let line = "[[line]]\nnumber = \"1001\"\npassword = \"x\"";
            check(&format!("{account}calls_to = \"{number}\"\n{line}"))
        };
        let account = calls_to("1001").expect("valid").expect("an account");
        assert_eq!(account.calls_to.as_deref(), Some("1001"));
        assert!(calls_to("1002").expect_err("unknown").contains("1002"));
    }

    #[test]
    fn an_account_registers_only_if_told_to() {
        let account = "username = \"t1\"\npassword = \"pw\"\n";
        let expires = |keys: &str| {
            let account = check(&format!("{account}{keys}"))?;
            Ok::<_, String>(account.expect("an account").register_expires)
        };
        let hour = Some(Duration::from_secs(3600));
        assert_eq!(expires("register = false"), Ok(None));
        assert_eq!(expires("register = true"), Ok(hour));
        let minute = expires("register = true\nregister_expires_s = 60");
        assert_eq!(minute, Ok(Some(Duration::from_secs(60))));
        assert!(expires("register_expires_s = 60").is_err());
        assert!(expires("register = true\nregister_expires_s = 59").is_err());
    }
}
