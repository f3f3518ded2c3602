//! The SDK clients of one account, region and endpoint.

use std::sync::Arc;
use std::time::Duration;

use aws_config::profile::load as load_profiles;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::os_shim_internal::{Env, Fs};
use aws_types::service_config::ServiceConfigKey;

use super::credentials::WatchedCredentials;
use super::skew::DateReader;
use super::{ServiceSkew, identity};
use crate::model::{Place, is_region};
use crate::ports::Expiry;

/// The role session's name, as `CloudTrail` shows it.
const SESSION_NAME: &str = "shadowtable";

/// Where a table lives and as whom it is reached. What is left out comes from the standard chain: environment,
/// profile, container or instance.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ConnectionSettings {
    /// The region, such as `eu-west-1`.
    pub region: Option<String>,
    /// The profile in `~/.aws/config` that the region and the credentials come from.
    pub profile: Option<String>,
    /// The ARN of a role to assume with those credentials.
    pub role_arn: Option<String>,
    /// A URL that takes the place of the service's own, for all services; `AWS_ENDPOINT_URL` otherwise.
    pub endpoint_url: Option<String>,
}

/// A table and the way to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSettings {
    /// The table's name, 3 to 255 of `a-zA-Z0-9_.-` (`CreateTable`'s rule).
    pub table: String,
    /// The way to it.
    pub connection: ConnectionSettings,
}

/// How long a request may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until a connection is there, TLS included.
    pub connect: Duration,
    /// One read or table operation, from its start to the whole reply.
    pub read: Duration,
    /// One write, from its start to the whole reply. Less than the lease, and less than the abandonment bound.
    pub write: Duration,
}

/// Why there are no clients.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// No region is configured anywhere.
    #[error(
        "no AWS region is known: set `region` of the connection, AWS_REGION, or `region` in the profile in ~/.aws/config"
    )]
    NoRegion,
    /// The region is none.
    #[error(
        "{0:?} is no AWS region: write one such as eu-central-1, without blanks, and not a zone such as eu-central-1a"
    )]
    BadRegion(String),
    /// The profile is not in the AWS configuration.
    #[error("there is no AWS profile {name:?} in ~/.aws/config or ~/.aws/credentials: {}", profiles_there(there))]
    NoProfile {
        /// The profile.
        name: String,
        /// Those that there are.
        there: Vec<String>,
    },
    /// The endpoint is not a URL.
    #[error("endpoint {0:?} must begin with http:// or https://")]
    BadEndpoint(String),
}

fn profiles_there(names: &[String]) -> String {
    if names.is_empty() { "there is none".to_owned() } else { format!("there are {}", names.join(", ")) }
}

/// A profile that is asked for and not there would come out as missing credentials, after a search everywhere else.
async fn check_profile(asked: Option<&str>) -> Result<(), ConnectError> {
    let env = Env::real();
    // Keys in the environment go before the profile that it names.
    let of_environment = || env.get("AWS_PROFILE").ok().filter(|_| env.get("AWS_ACCESS_KEY_ID").is_err());
    let name = asked.map(str::to_owned).or_else(of_environment).filter(|name| !name.is_empty());
    let Some(name) = name else { return Ok(()) };
    // A file that cannot be read is told by whoever needs it.
    let files = EnvConfigFiles::default();
    let Ok(found) = load_profiles(&Fs::real(), &env, &files, None).await else { return Ok(()) };
    if found.get_profile(&name).is_some() {
        return Ok(());
    }
    let mut there: Vec<String> = found.profiles().map(str::to_owned).collect();
    there.sort_unstable();
    Err(ConnectError::NoProfile { name, there })
}

/// The SDK clients behind the ports. Clones share connections and credentials.
///
/// Retries are off, so that a request is sent once (see the module's page). So is the protection against stalled
/// streams: the time-outs bound every request, and it would cost a second timer each.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Reads and table operations.
    pub(super) reads: aws_sdk_dynamodb::Client,
    /// Writes. A client of its own, since a time-out given per operation would be put together anew for each.
    pub(super) writes: aws_sdk_dynamodb::Client,
    /// Streams.
    pub(super) streams: aws_sdk_dynamodbstreams::Client,
    /// Who we are.
    pub(super) sts: aws_sdk_sts::Client,
    /// Parameters that name tables.
    pub(super) ssm: aws_sdk_ssm::Client,
    /// DynamoDB is not at the region's own address.
    pub(super) endpoint: Option<String>,
    /// STS is not at the region's own address.
    pub(super) sts_endpoint: Option<String>,
    region: Option<String>,
    /// The profile that the settings name.
    profile: Option<String>,
    credentials: Option<WatchedCredentials>,
}

/// Sets what all clients have in common on one SDK crate's configuration: these builders are equal but unrelated types.
macro_rules! tuned {
    ($config:expr, $limits:expr, $dates:expr, $http_client:expr) => {{
        let builder = $config
            .retry_config(RetryConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .timeout_config($limits)
            .interceptor($dates.clone());
        match $http_client {
            Some(client) => builder.http_client(client).build(),
            None => builder.build(),
        }
    }};
}

impl Connection {
    /// Reads the configuration chain and builds the clients. No request is sent, save to find out the region where
    /// nothing else tells it (instance metadata).
    pub async fn open(
        settings: &ConnectionSettings,
        timeouts: &Timeouts,
        skew: Arc<ServiceSkew>,
    ) -> Result<Self, ConnectError> {
        check_profile(settings.profile.as_deref()).await?;
        let mut loader = aws_config::defaults(BehaviorVersion::latest());
        if let Some(region) = &settings.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(profile) = &settings.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(url) = &settings.endpoint_url {
            loader = loader.endpoint_url(url);
        }
        let mut config = Box::pin(loader.load()).await;
        match config.region() {
            None => return Err(ConnectError::NoRegion),
            Some(region) if !is_region(region.as_ref()) => return Err(ConnectError::BadRegion(region.to_string())),
            Some(_) => {}
        }
        if let Some(role) = &settings.role_arn {
            let provider =
                Box::pin(AssumeRoleProvider::builder(role).session_name(SESSION_NAME).configure(&config).build()).await;
            config = config.into_builder().credentials_provider(SharedCredentialsProvider::new(provider)).build();
        }
        let endpoint = endpoint_of(&config, "DynamoDB");
        match endpoint.filter(|url| !url.starts_with("http://") && !url.starts_with("https://")) {
            Some(url) => Err(ConnectError::BadEndpoint(url)),
            None => Ok(Self { profile: settings.profile.clone(), ..Self::from_config(&config, timeouts, skew) }),
        }
    }

    /// Builds the clients from a ready configuration, for tests and for those who load their own.
    pub fn from_config(config: &SdkConfig, timeouts: &Timeouts, skew: Arc<ServiceSkew>) -> Self {
        let credentials = config.credentials_provider().map(WatchedCredentials::new);
        let config = &match credentials.clone() {
            Some(watched) => {
                let provider = SharedCredentialsProvider::new(watched);
                config.clone().into_builder().credentials_provider(provider).build()
            }
            None => config.clone(),
        };
        let dates = DateReader(skew);
        let within = |operation: Duration| {
            TimeoutConfig::builder().connect_timeout(timeouts.connect).operation_timeout(operation).build()
        };
        let endpoint = endpoint_of(config, "DynamoDB");
        let streams_endpoint = endpoint_of(config, "DynamoDB Streams");
        let sts_endpoint = endpoint_of(config, "STS");
        let http_client = http_client_for(config, endpoint.as_deref());
        let dynamodb = |operation: Duration| {
            let builder = aws_sdk_dynamodb::config::Builder::from(config);
            aws_sdk_dynamodb::Client::from_conf(tuned!(builder, within(operation), dates, http_client.clone()))
        };
        let streams = aws_sdk_dynamodbstreams::config::Builder::from(config);
        let sts = aws_sdk_sts::config::Builder::from(config);
        let ssm = aws_sdk_ssm::config::Builder::from(config);
        let ssm_endpoint = endpoint_of(config, "SSM");
        Self {
            reads: dynamodb(timeouts.read),
            writes: dynamodb(timeouts.write),
            streams: aws_sdk_dynamodbstreams::Client::from_conf(tuned!(
                streams,
                within(timeouts.read),
                dates,
                http_client_for(config, streams_endpoint.as_deref())
            )),
            sts: aws_sdk_sts::Client::from_conf(tuned!(
                sts,
                identity::limits(timeouts.connect),
                dates,
                http_client_for(config, sts_endpoint.as_deref())
            )),
            ssm: aws_sdk_ssm::Client::from_conf(tuned!(
                ssm,
                within(timeouts.read),
                dates,
                http_client_for(config, ssm_endpoint.as_deref())
            )),
            endpoint,
            sts_endpoint,
            region: config.region().map(ToString::to_string),
            profile: None,
            credentials,
        }
    }

    /// When the credentials in use expire.
    pub(super) fn expiry(&self) -> Expiry {
        self.credentials.as_ref().map_or(Expiry::Unknown, WatchedCredentials::expiry)
    }

    /// Reaches an emulator on this machine, as nobody: the credentials are invented, and nothing of the user's own
    /// configuration is read.
    #[cfg(feature = "embedded")]
    pub fn to_emulator(url: &str, timeouts: &Timeouts, skew: Arc<ServiceSkew>) -> Self {
        let nobody = aws_credential_types::Credentials::new("emulator", "emulator", None, None, "invented");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("eu-west-1"))
            .endpoint_url(url)
            .credentials_provider(SharedCredentialsProvider::new(nobody))
            .build();
        Self::from_config(&config, timeouts, skew)
    }

    /// Where a table of this name is.
    pub(super) fn place(&self, table: &str) -> Place {
        Place {
            table: table.to_owned(),
            region: self.region.clone(),
            account: None,
            endpoint: self.endpoint.clone(),
            profile: self.profile.clone(),
        }
    }

    /// The region in use.
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// The URL that takes the place of DynamoDB's own, whether from the settings, the environment or the profile.
    pub fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }
}

/// The endpoint that the SDK will use for a service instead of the region's: one given for it alone
/// (`AWS_ENDPOINT_URL_DYNAMODB`) goes before one for all, and one given in the settings before both.
fn endpoint_of(config: &SdkConfig, service: &str) -> Option<String> {
    let for_all = config.endpoint_url().map(str::to_owned);
    if config.get_origin("endpoint_url").is_client_config() {
        return for_all;
    }
    let key =
        ServiceConfigKey::builder().service_id(service).env("AWS_ENDPOINT_URL").profile("endpoint_url").build().ok();
    let for_one = key.and_then(|key| config.service_config()?.load_config(key));
    for_one.or(for_all)
}

/// Plain HTTP to this machine: an emulator.
fn is_plain_loopback(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else { return false };
    let authority = rest.split(['/', '?']).next().unwrap_or(rest);
    let host = match authority.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next().unwrap_or(bracketed),
        None => authority.split(':').next().unwrap_or(authority),
    };
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// For plain HTTP to this machine, the SDK's HTTP client without root certificates: loading and parsing the machine's
/// takes up to a third of a second at the start, and plain HTTP needs none. A client that the configuration brings
/// along is kept.
fn http_client_for(config: &SdkConfig, endpoint: Option<&str>) -> Option<SharedHttpClient> {
    if config.http_client().is_some() || !endpoint.is_some_and(is_plain_loopback) {
        return None;
    }
    let context = TlsContext::builder().with_trust_store(TrustStore::empty()).build().ok()?;
    let provider = Provider::Rustls(CryptoMode::AwsLc);
    Some(aws_smithy_http_client::Builder::new().tls_provider(provider).tls_context(context).build_https())
}

#[cfg(test)]
mod tests {
    use super::super::canned::TIMEOUTS;
    use super::*;

    async fn open(url: &str) -> Result<Connection, ConnectError> {
        let settings = ConnectionSettings {
            region: Some("eu-west-1".into()),
            endpoint_url: Some(url.into()),
            ..ConnectionSettings::default()
        };
        Connection::open(&settings, &TIMEOUTS, Arc::default()).await
    }

    #[tokio::test]
    async fn settings_go_before_the_environment() {
        let connection = open("http://127.0.0.1:8000").await.unwrap();
        assert_eq!((connection.region(), connection.endpoint()), (Some("eu-west-1"), Some("http://127.0.0.1:8000")));
        assert_eq!(connection.sts_endpoint.as_deref(), connection.endpoint());
    }

    #[tokio::test]
    async fn an_endpoint_that_is_no_url_is_refused_with_its_text() {
        assert_eq!(open("localhost:8000").await.unwrap_err(), ConnectError::BadEndpoint("localhost:8000".into()));
    }

    /// An endpoint for DynamoDB alone says nothing about STS.
    #[test]
    fn an_endpoint_for_one_service_goes_before_one_for_all() {
        #[derive(Debug)]
        struct OnlyDynamoDb;
        impl aws_types::service_config::LoadServiceConfig for OnlyDynamoDb {
            fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
                (key.service_id() == "DynamoDB").then(|| "http://127.0.0.1:1".to_owned())
            }
        }
        let alone = SdkConfig::builder().service_config(OnlyDynamoDb).build();
        assert_eq!(endpoint_of(&alone, "DynamoDB").as_deref(), Some("http://127.0.0.1:1"));
        assert_eq!(endpoint_of(&alone, "STS"), None);
        let both = alone.into_builder().endpoint_url("http://127.0.0.1:2").build();
        assert_eq!(endpoint_of(&both, "DynamoDB").as_deref(), Some("http://127.0.0.1:1"));
        assert_eq!(endpoint_of(&both, "STS").as_deref(), Some("http://127.0.0.1:2"));
    }

    #[test]
    fn only_plain_http_to_this_machine_goes_without_roots() {
        for url in ["http://127.0.0.1:8000", "http://localhost/", "http://[::1]:8000/x", "http://127.9.9.9"] {
            assert!(is_plain_loopback(url), "{url}");
        }
        for url in ["https://localhost", "http://localhost.example.com", "http://10.0.0.1", "http://127.0.0.1.nip.io"] {
            assert!(!is_plain_loopback(url), "{url}");
        }
    }
}
