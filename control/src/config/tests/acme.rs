use super::*;

const SECURE: &str = "[web]\nlisten = \"192.0.2.1:443\"\n[web.acme]\n";

fn refusal_of(lines: &str) -> String {
    refusal(&format!("{SECURE}{lines}"))
}

#[test]
fn acme_needs_host_names_and_has_defaults_for_the_rest() {
    let config = load(&format!("{SECURE}domains = \"Phone.Example.com\"")).unwrap();
    let acme = config.web.acme.as_ref().unwrap();
    assert_eq!(acme.domains, ["phone.example.com"]);
    let directory = "https://acme-v02.api.letsencrypt.org/directory";
    assert_eq!(acme.directory, directory);
    assert_eq!(acme.cache, Path::new("/var/lib/ringway/acme"));
    assert!(acme.contact.is_empty() && acme.directory_ca.is_none());
}

#[test]
fn acme_refuses_names_that_no_authority_can_connect_to() {
    for name in [
        "",
        "a b",
        "192.0.2.1",
        "-a.example",
        "a..example",
        "a.example.",
    ] {
        let error = refusal_of(&format!("domains = [\"{name}\"]"));
        assert!(error.contains("no host name"), "{name}: {error}");
    }
    let wildcard = refusal_of("domains = [\"*.example.com\"]");
    assert!(wildcard.contains("wildcard"), "{wildcard}");
    let twice = refusal_of("domains = [\"a.example\", \"A.example\"]");
    assert!(twice.contains("twice"), "{twice}");
    for domains in [
        Vec::new(),
        (0..101).map(|n| format!("h{n}.example")).collect(),
    ] {
        let error = refusal_of(&format!("domains = {domains:?}"));
        assert!(error.contains("1 to 100"), "{error}");
    }
}

#[test]
fn acme_speaks_https_only_and_wants_an_address_that_can_be_written_to() {
    let domain = "domains = \"a.example\"";
    for url in [
        "http://ca.example/dir",
        "https://",
        "ca.example",
        "https://a b",
    ] {
        let error = refusal_of(&format!("{domain}\ndirectory = \"{url}\""));
        assert!(error.contains("no https URL"), "{url}: {error}");
    }
    let error = refusal_of(&format!("{domain}\ncontact = \"ops@example.com\""));
    assert!(error.contains("mailto:"), "{error}");
}

#[test]
fn acme_without_a_listener_that_uses_tls_is_refused() {
    let error = refusal("[web.acme]\ndomains = \"a.example\"");
    assert!(error.contains("no listener uses TLS"), "{error}");
}

#[test]
fn acme_in_effect_can_be_loaded_again() {
    let config = load(&format!(
        "{SECURE}domains = [\"a.example\", \"b.example\"]\ncontact = \"mailto:ops@a.example\"\n\
         directory = \"https://10.0.0.1:14000/dir\"\ndirectory_ca = \"ca.pem\"\ncache = \"acme\""
    ));
    let config = config.unwrap();
    let again = load(&config.effective()).unwrap();
    assert_eq!(again.web.acme, config.web.acme);
    assert!(again.web.acme.is_some());
}
