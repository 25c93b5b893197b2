//! Each mask as a SQL function, one file a family.
