//! Requests to the authority: HTTP/1.1 over TLS, one connection each. There are a dozen of them in
//! two months.

use std::error::Error as StdError;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::header::{self, HeaderValue};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::limits::{ACME_ANSWER_BYTES_MAX, ACME_REQUEST_WITHIN};
use crate::shell::tls::{TlsError, authorities, provider, system_authorities};

type Failure = Box<dyn StdError + Send + Sync>;

/// The way to the authority.
pub(super) struct Https {
    connector: TlsConnector,
}

impl Https {
    /// Believes those that the system believes, or those of this PEM file alone.
    pub(super) fn new(ca: Option<&Path>) -> Result<Self, TlsError> {
        let roots = match ca {
            None => system_authorities()?,
            Some(path) => authorities(path)?,
        };
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Unusable)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
        })
    }
}

impl HttpClient for Https {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let connector = self.connector.clone();
        Box::pin(async move {
            let host = request.uri().host().unwrap_or_default().to_owned();
            let failed = |why: String| Error::Other(format!("{host}: {why}").into());
            match timeout(ACME_REQUEST_WITHIN, exchange(connector, request)).await {
                Ok(answer) => answer.map_err(|error| failed(error.to_string())),
                Err(_) => Err(failed("no answer in time".to_owned())),
            }
        })
    }
}

async fn exchange(
    connector: TlsConnector,
    mut request: Request<BodyWrapper<Bytes>>,
) -> Result<BytesResponse, Failure> {
    let uri = request.uri();
    if uri.scheme_str() != Some("https") {
        return Err("the authority names a URL that is not https".into());
    }
    let authority = uri.authority().ok_or("a URL without a host")?.clone();
    let host = authority.host().trim_matches(['[', ']']).to_owned();
    let port = authority.port_u16().unwrap_or(443);
    let name = ServerName::try_from(host.clone())?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let path: Uri = path.parse()?;
    *request.uri_mut() = path;
    let headers = request.headers_mut();
    headers.insert(header::HOST, HeaderValue::from_str(authority.as_str())?);
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));

    let stream = TcpStream::connect((host.as_str(), port)).await?;
    let stream = connector.connect(name, stream).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let answer = async move {
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, ACME_ANSWER_BYTES_MAX).collect().await?;
        let body = Box::new(body.to_bytes());
        Ok(BytesResponse { parts, body })
    };
    // What ends the connection ends the answer, too: its error says enough.
    let (answer, _connection) = tokio::join!(answer, connection);
    answer
}
