//! Connections: accepted, over TLS beyond the loopback interface, and held to their limits.

use super::guard;
use super::limits::{
    ADDRESSES_MAX, CONNECTIONS_MAX, CONNECTIONS_PER_ADDRESS_MAX, HEAD_BYTES_MAX, HEAD_WITHIN, HEADERS_MAX,
    REQUESTS_BURST, REQUESTS_PER_S, TLS_WITHIN, WRITE_STALL,
};
use super::problem::Problem;
use super::stall::Stalls;
use super::{Api, routes};
use crate::transport::streams::Streams;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use axum::response::IntoResponse as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use lampyris_core::hits::{Hits, Limit};
use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Who asks, for handlers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Remote(pub(super) SocketAddr);

/// The site and what its connections share.
struct Site {
    router: Router,
    origins: Vec<String>,
    streams: Arc<Streams>,
    is_secure: bool,
    seats: Arc<Semaphore>,
    per_address: Mutex<HashMap<IpAddr, usize>>,
    hits: Arc<Hits>,
    rates: Mutex<Rates>,
}

/// Serves on a bound socket until the runtime ends; must be called inside it.
///
/// # Errors
/// The system does not take the socket.
pub(crate) fn serve(
    socket: std::net::TcpListener,
    api: Arc<Api>,
    streams: Arc<Streams>,
    is_secure: bool,
    hits: Arc<Hits>,
) -> std::io::Result<()> {
    let listener = TcpListener::from_std(socket)?;
    let site = Arc::new(Site {
        origins: api.shell.http.origins.clone(),
        router: routes::router(api),
        streams,
        is_secure,
        seats: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
        per_address: Mutex::default(),
        hits,
        rates: Mutex::default(),
    });
    tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, remote)) => site.clone().accepted(stream, remote),
                Err(error) => {
                    // Why: without a pause, running out of descriptors would make this a busy loop.
                    tracing::warn!(%error, "an HTTP connection cannot be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    });
    Ok(())
}

impl Site {
    fn accepted(self: Arc<Self>, stream: TcpStream, remote: SocketAddr) {
        // Who comes when all seats are taken is closed at once: there is nothing to wait for.
        let seat = self.seats.clone().try_acquire_owned().ok();
        let place = seat.is_some().then(|| Place::take(&self, remote.ip())).flatten();
        let (Some(seat), Some(place)) = (seat, place) else { return self.hits.add(Limit::HttpConnections) };
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            if self.is_secure {
                let Some(keys) = self.streams.door().keys else { return };
                match timeout(TLS_WITHIN, keys.accept_web(stream)).await {
                    Ok(Ok(stream)) => self.connection(stream, remote).await,
                    _ => tracing::debug!(%remote, "a TLS handshake for HTTP failed"),
                }
            } else {
                self.connection(stream, remote).await;
            }
            drop((seat, place));
        });
    }

    async fn connection(self: &Arc<Self>, stream: impl AsyncRead + AsyncWrite + Unpin, remote: SocketAddr) {
        let service = service_fn(|request| {
            let site = self.clone();
            async move { Ok::<_, Infallible>(site.answer(remote, request).await) }
        });
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_WITHIN)
            .max_buf_size(HEAD_BYTES_MAX)
            .max_headers(HEADERS_MAX)
            .serve_connection(TokioIo::new(Stalls::new(stream, WRITE_STALL)), service)
            .await;
        if let Err(error) = served {
            tracing::debug!(%remote, %error, "an HTTP connection ends");
        }
    }

    async fn answer(&self, remote: SocketAddr, request: Request<Incoming>) -> Response<Body> {
        if !self.rates.lock().unwrap_or_else(PoisonError::into_inner).take(remote.ip(), Instant::now()) {
            self.hits.add(Limit::HttpRate);
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too many requests; slow down");
            return guard::finish(problem.into_response(), None);
        }
        let asker = match guard::asker(request.headers(), self.is_secure, &self.origins) {
            Ok(asker) => asker,
            Err(problem) => return guard::finish(problem.into_response(), None),
        };
        let response = match guard::preflight(&request, &asker) {
            Some(response) => response,
            None => match guard::whole(request).await {
                Ok(mut request) => {
                    request.extensions_mut().insert(Remote(remote));
                    let router = TowerToHyperService::new(self.router.clone());
                    match router.call(request).await {
                        Ok(response) => response,
                        Err(never) => match never {},
                    }
                }
                Err(problem) => problem.into_response(),
            },
        };
        guard::finish(response, Some(asker))
    }
}

/// A connection's share of what one address may have.
struct Place {
    site: Arc<Site>,
    address: IpAddr,
}

impl Place {
    fn take(site: &Arc<Site>, address: IpAddr) -> Option<Self> {
        let mut places = site.per_address.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = places.entry(address).or_default();
        // Why: a reverse proxy on this machine speaks for many.
        if *taken >= CONNECTIONS_PER_ADDRESS_MAX && !address.is_loopback() {
            return None;
        }
        *taken += 1;
        drop(places);
        Some(Self { site: site.clone(), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = self.site.per_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = places.get_mut(&self.address) {
            *taken -= 1;
            if *taken == 0 {
                places.remove(&self.address);
            }
        }
    }
}

/// Token buckets per address: for each, when it will be full again.
#[derive(Default)]
struct Rates(HashMap<IpAddr, Instant>);

impl Rates {
    fn take(&mut self, address: IpAddr, now: Instant) -> bool {
        let token = Duration::from_secs(1) / REQUESTS_PER_S;
        if self.0.len() >= ADDRESSES_MAX && !self.0.contains_key(&address) {
            self.0.retain(|_, full_at| *full_at > now);
            // Why: more addresses at once than we count are served no faster for it.
            if self.0.len() >= ADDRESSES_MAX {
                return false;
            }
        }
        let full_at = self.0.entry(address).or_insert(now);
        let next = (*full_at).max(now) + token;
        if next > now + token * REQUESTS_BURST {
            return false;
        }
        *full_at = next;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_burst_and_a_rate_and_their_number_is_bounded() {
        let (mut rates, start) = (Rates::default(), Instant::now());
        let address = IpAddr::from([192, 0, 2, 1]);
        let given = |rates: &mut Rates, at| (0..5000).filter(|_| rates.take(address, at)).count();
        assert_eq!(given(&mut rates, start), REQUESTS_BURST as usize);
        let second = start + Duration::from_secs(1);
        let again = given(&mut rates, second);
        assert!((REQUESTS_PER_S as usize - 1..=REQUESTS_PER_S as usize).contains(&again), "{again}");
        for n in 0..10_000_u32 {
            rates.take(IpAddr::V4(n.into()), second);
        }
        assert_eq!(rates.0.len(), ADDRESSES_MAX);
        assert!(rates.take(IpAddr::from([203, 0, 113, 1]), second + Duration::from_secs(60)));
    }
}
