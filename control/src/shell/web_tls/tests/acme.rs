use std::io;

use super::*;
use crate::shell::acme::challenge::{ACME_TLS, tests::answer};

/// `[web.acme]` for this name, with its cache in the folder.
const ACME: &str = "[web.acme]\ndomains = [\"n.example\"]\ncache = \"FOLDER\"";

const DIGEST: [u8; 32] = [0xA5; 32];

/// What an authority sees at this name; it shows no certificate of its own.
async fn look(tls: &WebTls, name: &str, protocols: &[&[u8]]) -> io::Result<Vec<u8>> {
    let mut client = client_that_trusts_anybody();
    client.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connector = TlsConnector::from(Arc::new(client));
    let looked = async {
        let mut stream = connector.connect(name, theirs).await?;
        if stream.get_ref().1.alpn_protocol() != Some(ACME_TLS) {
            return Err(io::Error::other("the server speaks another protocol"));
        }
        // Nothing is said after the handshake.
        assert_eq!(stream.read(&mut [0; 1]).await?, 0);
        let certificate = stream.get_ref().1.peer_certificates().unwrap()[0].clone();
        Ok(certificate.to_vec())
    };
    let (looked, accepted) = tokio::join!(looked, tls.accept(ours));
    assert!(accepted.is_err() || accepted.is_ok_and(|stream| stream.is_none()));
    looked
}

#[tokio::test]
async fn an_authority_sees_the_digest_and_needs_no_certificate() {
    let folder = Folder::new("authority");
    let a = folder.write("a", &["a.example"]);
    let more = format!("client_authorities = \"FOLDER/a.pem\"\n{ACME}");
    let tls = WebTls::new(&folder.configuration(&more), &[], &[]).unwrap();
    let challenges = tls.challenges().unwrap();
    assert!(look(&tls, "n.example", &[ACME_TLS]).await.is_err());

    let answers = answer(challenges, "n.example", &DIGEST);
    let certificate = look(&tls, "n.example", &[ACME_TLS]).await.unwrap();
    // id-pe-acmeIdentifier, critical, with the digest as a string of octets (RFC 8737 section 3).
    let extension = [
        &[
            0x06, 8, 0x2b, 6, 1, 5, 5, 7, 1, 31, 1, 1, 0xff, 4, 34, 4, 32,
        ][..],
        &DIGEST,
    ];
    let extension = extension.concat();
    assert!(certificate.windows(extension.len()).any(|w| w == extension));
    // Names that nobody was told to look at; clients that would speak something else as well.
    assert!(look(&tls, "a.example", &[ACME_TLS]).await.is_err());
    let both = look(&tls, "n.example", &[ACME_TLS, b"http/1.1"]).await;
    assert!(both.is_err());
    // Browsers see nothing of it, and still need a certificate.
    assert!(connect(&tls, &[&a], "a.example", None).await.is_err());

    drop(answers);
    assert!(look(&tls, "n.example", &[ACME_TLS]).await.is_err());
}

#[tokio::test]
async fn the_certificate_that_was_obtained_is_shown_for_its_name_once_it_is_there() {
    let folder = Folder::new("obtained");
    let a = folder.write("a", &["a.example", "n.example"]);
    let web = folder.configuration(ACME);
    let tls = WebTls::new(&web, &[], &[]).unwrap();
    let before = connect(&tls, &[&a], "n.example", None).await.unwrap();
    assert_eq!(shown(&before), a);

    let n = folder.write("n", &["n.example"]);
    let file = Store::new(web.acme.as_ref().unwrap());
    let parts = ["n.key", "n.pem"].map(|name| fs::read_to_string(folder.path(name)).unwrap());
    fs::write(file.certificate(), parts.concat()).unwrap();
    assert!(tls.reload_if_needed(clock::wall()).unwrap());
    let after = connect(&tls, &[&n], "n.example", None).await.unwrap();
    assert_eq!(shown(&after), n);
    let other = connect(&tls, &[&a], "a.example", None).await.unwrap();
    assert_eq!(shown(&other), a);

    // What cannot be used is not shown, and stops nobody.
    fs::write(file.certificate(), "gibberish").unwrap();
    assert!(tls.reload_if_needed(clock::wall()).unwrap());
    let again = connect(&tls, &[&a], "n.example", None).await.unwrap();
    assert_eq!(shown(&again), a);
}

#[tokio::test]
async fn the_certificate_that_was_obtained_takes_the_place_of_the_self_signed_one() {
    let folder = Folder::new("instead");
    let cache = folder.0.display();
    let text = format!("[web]\ntls = \"on\"\n{ACME}").replace("FOLDER", &cache.to_string());
    let web = Config::parse("test.toml", &text, &|_| None).unwrap().web;
    let tls = WebTls::new(&web, &["localhost"], &[]).unwrap();
    let n = folder.write("n", &["n.example", "localhost"]);
    assert!(connect(&tls, &[&n], "localhost", None).await.is_err());
    let file = Store::new(web.acme.as_ref().unwrap());
    let parts = ["n.key", "n.pem"].map(|name| fs::read_to_string(folder.path(name)).unwrap());
    fs::write(file.certificate(), parts.concat()).unwrap();
    tls.reload().unwrap();
    for name in ["n.example", "localhost"] {
        let ends = connect(&tls, &[&n], name, None).await.unwrap();
        assert_eq!(shown(&ends), n);
    }
    // It is renewed by who obtained it.
    let years = Duration::from_secs(10 * 365 * 24 * 3600);
    assert!(!tls.reload_if_needed(clock::wall() + years).unwrap());
}
