//! Where tables live: `ENDPOINT=embedded`, as without it, or `ENDPOINT=dynamodb-local`.

pub mod embedded;
pub mod local;

use std::env::VarError;
use std::fmt;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region, timeout::TimeoutConfig};

/// One region of one account: all that a client must know.
#[derive(Clone)]
pub struct Place {
    pub url: String,
    pub region: &'static str,
    pub access_key: String,
}

/// Any secret will do: emulators do not check signatures.
pub const SECRET_KEY: &str = "secret";

impl Place {
    pub fn client(&self) -> Client {
        let timeouts = TimeoutConfig::builder().operation_timeout(Duration::from_mins(1)).build();
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(self.region))
            .endpoint_url(&self.url)
            .credentials_provider(Credentials::new(&self.access_key, SECRET_KEY, None, None, "tests"))
            .timeout_config(timeouts)
            .build();
        Client::from_conf(config)
    }

    pub fn streams(&self) -> aws_sdk_dynamodbstreams::Client {
        let config = aws_sdk_dynamodbstreams::Config::builder()
            .behavior_version(aws_sdk_dynamodbstreams::config::BehaviorVersion::latest())
            .region(aws_sdk_dynamodbstreams::config::Region::new(self.region))
            .endpoint_url(&self.url)
            .credentials_provider(Credentials::new(&self.access_key, SECRET_KEY, None, None, "tests"))
            .build();
        aws_sdk_dynamodbstreams::Client::from_conf(config)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} at {}", self.region, self.url)
    }
}

/// An endpoint as long as it is held. `namespace` is letters and digits; two namespaces share no table, nor do two
/// places of one.
pub trait Endpoint: Send + Sync {
    fn places(&self, namespace: &str) -> [Place; 2];

    /// Whether its streams write an empty map so that an SDK can read it.
    fn streams_empty_maps(&self) -> bool {
        true
    }
}

/// Starts, or joins, the endpoint that the environment names.
#[expect(clippy::disallowed_methods, reason = "the tests' own setting, not the program's")]
pub fn chosen() -> Box<dyn Endpoint> {
    match std::env::var("ENDPOINT").as_deref() {
        Err(VarError::NotPresent) | Ok("embedded") => embedded::start(),
        Ok("dynamodb-local") => local::start(),
        other => panic!("ENDPOINT is {other:?}: it may be embedded, or dynamodb-local"),
    }
}

pub const REGIONS: [&str; 2] = ["us-east-1", "eu-west-1"];
