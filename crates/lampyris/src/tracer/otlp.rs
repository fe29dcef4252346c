//! The exporter: OTLP in protobuf, over the HTTP client that webhooks use.
//!
//! Spans gather in the SDK's bounded queue; a thread of its own sends them, and drops what does not fit. A collector that is
//! not there costs a line of log and no request waits for it.

use crate::config::ShellSettings;
use crate::http::client;
use crate::transport::tls;
use bytes::Bytes;
use http_body_util::Full;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use rustls::ClientConfig;
use std::env;
use std::fmt::{self, Debug};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::LookupSpan;

/// Where a collector is, for all programs alike.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
/// For a whole request to the collector.
const WITHIN: Duration = Duration::from_secs(10);
/// Longest answer that is read.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Sends what is left when it is dropped.
pub(crate) struct Exporting(Option<SdkTracerProvider>);

impl Drop for Exporting {
    fn drop(&mut self) {
        // What the collector does not take now is lost, which is all that can be said of it.
        let _ = self.0.take().map(|provider| provider.shutdown());
    }
}

/// What makes spans and sends them where a collector is configured, or named by the environment.
pub(crate) fn layer<S>(shell: &ShellSettings) -> Result<(Option<impl Layer<S> + use<S>>, Exporting), String>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
{
    if shell.otel.is_none() && ENDPOINTS.iter().all(|name| env::var_os(name).is_none()) {
        return Ok((None, Exporting(None)));
    }
    let tls = tls::web_client(&shell.door.files)?;
    let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    let mut exporter = SpanExporter::builder().with_http().with_http_client(Sender { runtime, tls });
    if let Some(endpoint) = &shell.otel {
        exporter = exporter.with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')));
    }
    let exporter = exporter.build().map_err(|error| error.to_string())?;
    let mut resource = Resource::builder();
    if env::var_os("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name("lampyris");
    }
    let provider =
        SdkTracerProvider::builder().with_resource(resource.build()).with_batch_exporter(exporter).build();
    let spans = tracing_opentelemetry::layer().with_tracer(provider.tracer("lampyris"));
    // Why: what the exporter itself says of its troubles is for the log alone.
    let ours = Targets::new().with_target("lampyris", LevelFilter::TRACE);
    Ok((Some(spans.with_filter(ours)), Exporting(Some(provider))))
}

/// Sends on the exporter's thread, which does nothing else.
struct Sender {
    runtime: Runtime,
    tls: Arc<ClientConfig>,
}

impl Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sender")
    }
}

impl Sender {
    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = request.into_parts();
        let uri = head.uri.clone();
        let request = Request::from_parts(head, Full::new(body));
        self.runtime.block_on(async {
            let sent = client::send(&uri, request, Some(&self.tls), ANSWER_BYTES_MAX);
            Ok(tokio::time::timeout(WITHIN, sent).await??)
        })
    }
}

impl HttpClient for Sender {
    fn send_bytes<'s, 'f>(
        &'s self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'f>>
    where
        's: 'f,
        Self: 'f,
    {
        Box::pin(async { self.send(request) })
    }
}
