//! The harness of the integration tests: throwaway clusters and fault tools.
