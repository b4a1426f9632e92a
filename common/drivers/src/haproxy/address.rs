//! Where HAProxy's stats socket is: at an address and port, or at a path of this machine.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The kernel keeps the path in 108 bytes, of which the last is 0 (*unix(7)*).
const PATH_BYTES_MAX: usize = 107;
const UNIX: &str = "unix:";

/// Where HAProxy's stats socket is, read from `10.0.0.5:9999` or from `unix:/run/haproxy/admin.sock`.
///
/// ```
/// use hostler_drivers::HaproxyAddress;
///
/// let address: HaproxyAddress = "unix:/run/haproxy/admin.sock".parse()?;
/// assert_eq!(address.to_string(), "unix:/run/haproxy/admin.sock");
/// assert!("10.0.0.5".parse::<HaproxyAddress>().is_err(), "no port");
/// # Ok::<(), hostler_drivers::HaproxyAddressError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HaproxyAddress(Place);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// A host and a port.
    Tcp(String),
    /// An absolute path that fits into a socket's address.
    Unix(PathBuf),
}

/// Why a text is no address of a stats socket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HaproxyAddressError {
    /// It has neither form.
    #[error(
        "{text:?} is no address of HAProxy's stats socket: write host:port, as 10.0.0.5:9999, or unix: and an absolute path, \
         as unix:/run/haproxy/admin.sock"
    )]
    Form {
        /// What was given.
        text: String,
    },
    /// No socket can have this path.
    #[error(
        "the path {path} of HAProxy's stats socket has {} bytes, and the path of a Unix socket has at most {PATH_BYTES_MAX}: \
         choose a shorter one", path.len()
    )]
    PathTooLong {
        /// The path that was given.
        path: String,
    },
}

impl HaproxyAddress {
    pub(super) fn place(&self) -> &Place {
        &self.0
    }
}

impl FromStr for HaproxyAddress {
    type Err = HaproxyAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || HaproxyAddressError::Form { text: text.to_owned() };
        if let Some(path) = text.strip_prefix(UNIX) {
            if path.len() > PATH_BYTES_MAX {
                return Err(HaproxyAddressError::PathTooLong { path: path.to_owned() });
            }
            // The kernel ends a path at its first 0.
            if !Path::new(path).is_absolute() || path.contains('\0') {
                return Err(wrong());
            }
            return Ok(Self(Place::Unix(path.into())));
        }
        match text.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
                Ok(Self(Place::Tcp(text.to_owned())))
            }
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for HaproxyAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Tcp(address) => formatter.write_str(address),
            Place::Unix(path) => write!(formatter, "{UNIX}{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, HaproxyAddressError> {
        text.parse::<HaproxyAddress>().map(|address| address.to_string())
    }

    #[test]
    fn addresses_of_both_forms_are_read_and_written_alike() {
        let longest = format!("unix:/{}", "a".repeat(PATH_BYTES_MAX - 1));
        for text in ["10.0.0.5:9999", "haproxy.site.example:1", "[::1]:9999", "unix:/run/a b.sock", &longest]
        {
            assert_eq!(read(text), Ok(text.to_owned()));
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_to_write() {
        for text in
            ["", "10.0.0.5", ":9999", "10.0.0.5:", "10.0.0.5:99999", "unix:", "unix:run/a.sock", "unix:/a\0b"]
        {
            assert_eq!(read(text), Err(HaproxyAddressError::Form { text: text.to_owned() }));
        }
    }

    #[test]
    fn a_path_that_no_socket_can_have_is_refused_with_its_length() {
        let path = format!("/{}", "a".repeat(PATH_BYTES_MAX));
        let error = HaproxyAddressError::PathTooLong { path: path.clone() };
        assert_eq!(read(&format!("unix:{path}")), Err(error.clone()));
        assert!(
            error.to_string().contains("has 108 bytes") && error.to_string().contains("at most 107"),
            "{error}"
        );
    }
}
