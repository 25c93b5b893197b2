//! When to send a request again.
//!
//! Exponential back-off with jitter: the n-th wait is drawn from the upper half of `base * 2^n`, so that
//! sessions that failed together do not come back together, and none comes back at once.

use super::error::ApiError;
use std::time::Duration;

/// How an API is to be asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// The first wait, before jitter.
    pub base: Duration,
    /// The longest wait that is not asked for by the service.
    pub longest: Duration,
    /// The wait after "too many requests" that names none.
    pub penalty: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            base: Duration::from_millis(500),
            longest: Duration::from_secs(30),
            penalty: Duration::from_secs(1),
        }
    }
}

/// The retries of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retries {
    /// Attempts that failed.
    pub failed: u32,
}

impl Retries {
    /// Notes a failed attempt and says how long to wait before the next; `None` if there is none.
    /// `left` is the time until the deadline.
    pub fn after(
        &mut self,
        policy: &Policy,
        error: &ApiError,
        random: u64,
        left: Duration,
    ) -> Option<Duration> {
        self.failed += 1;
        if self.failed >= attempts(error) {
            return None;
        }
        let doubled = policy.base.saturating_mul(1 << (self.failed - 1).min(16));
        let ceiling = doubled.min(policy.longest);
        let half = ceiling / 2;
        let drawn = half + half.mul_f64((random % 1024) as f64 / 1024.0);
        let wait = match error {
            ApiError::RateLimited { retry_after: Some(asked), .. } => *asked + drawn / 8,
            ApiError::RateLimited { status: 429, .. } => policy.penalty.max(drawn) + drawn / 8,
            _ => drawn,
        };
        (wait < left).then_some(wait)
    }
}

/// How often a request that fails so may be sent in all.
fn attempts(error: &ApiError) -> u32 {
    match error {
        error if !error.is_transient() => 1,
        // A dead source costs its connect_timeout once; one that refuses may be about to start; a
        // request that takes too long will again.
        ApiError::Connection { what, .. } if *what == super::http::NOT_REACHED => 1,
        ApiError::Connection { what, .. } if *what == super::http::NOT_MADE => 3,
        ApiError::Timeout { .. } => 2,
        ApiError::Malformed { .. } => 4,
        ApiError::Connection { .. } => 6,
        _ => u32::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::super::error::Endpoint;
    use super::*;
    use proptest::prelude::*;

    const LEFT: Duration = Duration::from_secs(300);

    fn endpoint() -> Endpoint {
        Endpoint { method: "GET", path: "x".into() }
    }

    fn service() -> ApiError {
        ApiError::Service { endpoint: endpoint(), status: 500, message: None }
    }

    fn limited(retry_after: Option<u64>) -> ApiError {
        let retry_after = retry_after.map(Duration::from_secs);
        ApiError::RateLimited { endpoint: endpoint(), status: 429, message: None, retry_after }
    }

    #[test]
    fn waits_double() {
        let mut retries = Retries::default();
        let policy = Policy::default();
        let waits: Vec<_> = (0..9)
            .map(|_| retries.after(&policy, &service(), 0, LEFT).expect("a wait").as_millis())
            .collect();
        assert_eq!(waits, [250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000]);
    }

    #[test]
    fn the_service_may_name_the_wait() {
        let policy = Policy { penalty: Duration::from_secs(30), ..Policy::default() };
        let wait = |error| Retries::default().after(&policy, &error, 0, LEFT).expect("a wait");
        assert!(wait(limited(Some(7))) >= Duration::from_secs(7));
        assert!(wait(limited(Some(7))) < Duration::from_secs(8));
        assert!(wait(limited(None)) >= Duration::from_secs(30));
    }

    #[test]
    fn not_beyond_the_deadline_and_not_what_stays_wrong() {
        let policy = Policy::default();
        let left = Duration::from_secs(5);
        assert_eq!(Retries::default().after(&policy, &limited(Some(7)), 0, left), None);
        let refused = ApiError::Refused { endpoint: endpoint(), status: 401, message: None };
        assert_eq!(Retries::default().after(&policy, &refused, 0, LEFT), None);
        let dead =
            ApiError::Connection { endpoint: endpoint(), what: super::super::http::NOT_MADE };
        let mut retries = Retries::default();
        let count =
            (0..10).take_while(|_| retries.after(&policy, &dead, 0, LEFT).is_some()).count();
        assert_eq!(count, 2);
    }

    proptest! {
        #[test]
        fn waits_are_bounded(failed in 0_u32..100, random in any::<u64>()) {
            let wait = Retries { failed }.after(&Policy::default(), &service(), random, LEFT);
            let wait = wait.expect("a wait");
            prop_assert!(wait >= Duration::from_millis(250) && wait <= Duration::from_secs(30));
        }
    }
}
