use std::fs;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::UnixTime;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_rustls::{TlsConnector, client};

use super::*;
use crate::config::Config;

mod acme;

/// A folder of PEM files that goes at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("ringway-tls-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes `NAME.pem` and `NAME.key`, and returns the certificate.
    fn write(&self, name: &str, subjects: &[&str]) -> CertificateDer<'static> {
        let subjects: Vec<String> = subjects.iter().map(|s| (*s).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(subjects).unwrap().self_signed(&key);
        let certificate = certificate.unwrap();
        fs::write(self.path(&format!("{name}.pem")), certificate.pem()).unwrap();
        fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
        certificate.der().clone()
    }

    fn configuration(&self, more: &str) -> WebConfig {
        let folder = self.0.display();
        let text = format!(
            "[web]\ntls = \"on\"\ncertificate = \"{folder}/a.pem\"\nprivate_key = \"{folder}/a.key\"\n{}",
            more.replace("FOLDER", &folder.to_string())
        );
        Config::parse("test.toml", &text, &|_| None).unwrap().web
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

type Ends = (client::TlsStream<DuplexStream>, TlsStream<DuplexStream>);

/// One connection with this name, from a client that trusts these certificates.
async fn connect(
    tls: &WebTls,
    roots: &[&CertificateDer<'static>],
    name: &str,
    identity: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>,
) -> io::Result<Ends> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add((*root).clone()).unwrap();
    }
    let client = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(store);
    let client = match identity {
        None => client.with_no_client_auth(),
        Some((certificate, key)) => client
            .with_client_auth_cert(vec![certificate], key)
            .unwrap(),
    };
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connector = TlsConnector::from(Arc::new(client));
    let accepted = async { Ok(tls.accept(ours).await?.expect("no authority")) };
    tokio::try_join!(connector.connect(name, theirs), accepted)
}

fn shown(ends: &Ends) -> CertificateDer<'static> {
    let (client, _) = ends;
    client.get_ref().1.peer_certificates().unwrap()[0].clone()
}

const HOSTS: &str = "[[web.host]]\nnames = [\"b.example\", \"*.c.example\"]\n\
                     certificate = \"FOLDER/b.pem\"\nprivate_key = \"FOLDER/b.key\"";

#[tokio::test]
async fn each_name_has_its_certificate_and_strangers_the_first() {
    let folder = Folder::new("names");
    let a = folder.write(
        "a",
        &["a.example", "unknown.example", "x.y.c.example", "c.example"],
    );
    let b = folder.write("b", &["b.example", "www.c.example", "B.EXAMPLE"]);
    let tls = WebTls::new(&folder.configuration(HOSTS), &[], &[]).unwrap();
    for (name, certificate) in [
        ("a.example", &a),
        ("b.example", &b),
        ("B.EXAMPLE", &b),
        ("www.c.example", &b),
        ("unknown.example", &a),
        // A wildcard stands for one label.
        ("x.y.c.example", &a),
        ("c.example", &a),
    ] {
        let ends = connect(&tls, &[&a, &b], name, None).await.unwrap();
        assert_eq!(&shown(&ends), certificate, "{name}");
    }
}

#[tokio::test]
async fn new_files_are_for_new_connections_and_open_ones_stay() {
    let folder = Folder::new("reload");
    let first = folder.write("a", &["a.example"]);
    folder.write("b", &["b.example"]);
    let tls = WebTls::new(&folder.configuration(HOSTS), &[], &[]).unwrap();
    assert!(!tls.reload_if_needed(clock::wall()).unwrap());
    let mut open = connect(&tls, &[&first], "a.example", None).await.unwrap();

    let second = folder.write("a", &["a.example", "new.example"]);
    assert!(tls.reload_if_needed(clock::wall()).unwrap());
    assert!(!tls.reload_if_needed(clock::wall()).unwrap());
    let new = connect(&tls, &[&second], "new.example", None)
        .await
        .unwrap();
    assert_eq!(shown(&new), second);
    open.0.write_all(b"still here").await.unwrap();
    let mut read = [0; 10];
    open.1.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"still here");
}

#[tokio::test]
async fn files_that_do_not_fit_leave_what_is_there() {
    let folder = Folder::new("bad");
    let good = folder.write("a", &["a.example"]);
    folder.write("b", &["b.example"]);
    let tls = WebTls::new(&folder.configuration(HOSTS), &[], &[]).unwrap();
    let key = fs::read(folder.path("a.key")).unwrap();
    // Another key's certificate, then no certificate, then none at all.
    fs::copy(folder.path("b.pem"), folder.path("a.pem")).unwrap();
    let error = tls.reload().unwrap_err().to_string();
    assert!(error.contains("cannot be used together"), "{error}");
    fs::write(folder.path("a.pem"), "gibberish").unwrap();
    assert!(tls.reload_if_needed(clock::wall()).is_err());
    fs::remove_file(folder.path("a.pem")).unwrap();
    assert!(tls.reload_if_needed(clock::wall()).is_err());
    // Said once, not with every look.
    assert!(!tls.reload_if_needed(clock::wall()).unwrap());
    let ends = connect(&tls, &[&good], "a.example", None).await.unwrap();
    assert_eq!(shown(&ends), good);

    let repaired = folder.write("a", &["a.example"]);
    assert_ne!(fs::read(folder.path("a.key")).unwrap(), key);
    assert!(tls.reload_if_needed(clock::wall()).unwrap());
    let ends = connect(&tls, &[&repaired], "a.example", None)
        .await
        .unwrap();
    assert_eq!(shown(&ends), repaired);
}

#[tokio::test]
async fn a_certificate_of_our_own_is_renewed_before_it_ends() {
    let text = "[web]\ntls = \"on\"";
    let web = Config::parse("test.toml", text, &|_| None).unwrap().web;
    let tls = WebTls::new(&web, &["localhost"], &[]).unwrap();
    let shown_now = async || {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let any = client_that_trusts_anybody();
        let connector = TlsConnector::from(Arc::new(any));
        let name = ServerName::try_from("localhost").unwrap();
        let accepted = async { Ok(tls.accept(ours).await?.expect("no authority")) };
        shown(&tokio::try_join!(connector.connect(name, theirs), accepted).unwrap())
    };
    let first = shown_now().await;
    let days = |days: u64| clock::wall() + Duration::from_secs(days * 24 * 3600);
    assert!(!tls.reload_if_needed(days(365)).unwrap());
    assert_eq!(shown_now().await, first);
    assert!(tls.reload_if_needed(days(380)).unwrap());
    assert_ne!(shown_now().await, first);
}

#[tokio::test]
async fn w20_a_client_certificate_can_be_demanded() {
    let folder = Folder::new("client");
    let a = folder.write("a", &["a.example"]);
    let issuer = |name: &str| {
        let mut parameters = CertificateParams::new(vec![name.to_owned()]).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap()
    };
    let (known, stranger) = (issuer("ca.example"), issuer("ca.example"));
    fs::write(folder.path("ca.pem"), known.pem()).unwrap();
    let web = folder.configuration("client_authorities = \"FOLDER/ca.pem\"");
    let tls = WebTls::new(&web, &[], &[]).unwrap();
    let identity_by = |issuer: &CertifiedIssuer<'_, KeyPair>| {
        let key = KeyPair::generate().unwrap();
        let parameters = CertificateParams::new(vec!["alice.example".to_owned()]).unwrap();
        let certificate = parameters.signed_by(&key, issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        (certificate.der().clone(), key)
    };
    let good = connect(&tls, &[&a], "a.example", Some(identity_by(&known))).await;
    good.unwrap();
    for identity in [None, Some(identity_by(&stranger))] {
        let refused = connect(&tls, &[&a], "a.example", identity).await;
        assert!(refused.is_err());
    }
    // Not a file of authorities.
    fs::write(folder.path("ca.pem"), "gibberish").unwrap();
    let error = tls.reload().unwrap_err().to_string();
    assert!(error.contains("ca.pem"), "{error}");
}

/// A client for servers whose certificate is made while it waits.
pub(crate) fn client_that_trusts_anybody() -> ClientConfig {
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth()
}

#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        // webpki would refuse to read the critical extension of RFC 8737 section 3.
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
