//! How figures are written down and compared.
