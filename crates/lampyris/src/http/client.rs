//! One HTTP request to somebody else, on a connection of its own: for webhooks, and for collectors of traces.
//!
//! In: an address, and a request whose target is that address's path. Out: the answer, with as much of its body as is asked
//! for. Redirects are not followed; how long it may take is the caller's to say.

use axum::http::{Request, Response, Uri, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Sends `request` to `uri`, whose host becomes its `Host`. A body longer than `body_bytes_max` is left out.
pub(crate) async fn send(
    uri: &Uri,
    mut request: Request<Full<Bytes>>,
    tls: Option<&Arc<ClientConfig>>,
    body_bytes_max: usize,
) -> io::Result<Response<Bytes>> {
    let host = uri.host().ok_or_else(|| io::Error::other("the address has no host"))?;
    let port = uri.port().map(|port| format!(":{port}")).unwrap_or_default();
    let named = format!("{host}{port}").parse().map_err(io::Error::other)?;
    request.headers_mut().insert(header::HOST, named);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = path.parse().map_err(io::Error::other)?;
    let is_secure = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
    let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let stream = TcpStream::connect((bare.as_str(), port)).await?;
    if !is_secure {
        return exchange(stream, request, body_bytes_max).await;
    }
    let tls = tls.cloned().ok_or_else(|| io::Error::other("there is no TLS"))?;
    let name = ServerName::try_from(bare).map_err(io::Error::other)?;
    exchange(TlsConnector::from(tls).connect(name, stream).await?, request, body_bytes_max).await
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
    body_bytes_max: usize,
) -> io::Result<Response<Bytes>> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let connection = tokio::spawn(connection);
    let answered = sender.send_request(request).await;
    let read = match answered {
        Ok(response) => {
            let (head, body) = response.into_parts();
            let body = match body_bytes_max {
                0 => Bytes::new(),
                most => {
                    Limited::new(body, most).collect().await.map(|body| body.to_bytes()).unwrap_or_default()
                }
            };
            Ok(Response::from_parts(head, body))
        }
        Err(error) => Err(io::Error::other(error)),
    };
    connection.abort();
    read
}
