//! The address of a MySQL or MariaDB database.

use std::fmt;

use sqlx::mysql::MySqlConnectOptions;

/// The address of a database, with the credentials. Neither `Display` nor `Debug` shows the password.
#[derive(Clone)]
pub struct MysqlAddress(Box<MySqlConnectOptions>);

/// Not the address of a MySQL or MariaDB database. The refused text is left out: it may hold a password.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not the address of a MySQL or MariaDB database")]
pub struct InvalidMysqlAddress;

impl MysqlAddress {
    /// Parses `mysql://[user[:password]@]host[:port]/database`; the scheme may also be `mariadb`.
    pub fn from_url(url: &str) -> Result<Self, InvalidMysqlAddress> {
        if !url.starts_with("mysql://") && !url.starts_with("mariadb://") {
            return Err(InvalidMysqlAddress);
        }
        let options: MySqlConnectOptions = url.parse().map_err(|_| InvalidMysqlAddress)?;
        match options.get_database() {
            None | Some("") => Err(InvalidMysqlAddress),
            Some(_) => Ok(Self(Box::new(options))),
        }
    }

    /// The database `name` of the server at `host` and `port`.
    pub fn new(host: &str, port: u16, user: &str, password: Option<&str>, name: &str) -> Self {
        let mut options = MySqlConnectOptions::new().host(host).port(port).username(user).database(name);
        if let Some(password) = password {
            options = options.password(password);
        }
        Self(Box::new(options))
    }

    pub(super) fn options(&self) -> MySqlConnectOptions {
        (*self.0).clone()
    }
}

impl fmt::Display for MysqlAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = &self.0;
        let (user, host, port) = (options.get_username(), options.get_host(), options.get_port());
        write!(f, "mysql://{user}@{host}:{port}/{}", options.get_database().unwrap_or_default())
    }
}

impl fmt::Debug for MysqlAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MysqlAddress({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_never_shown() {
        let of_a_url = MysqlAddress::from_url("mariadb://u:hunter2@h:3307/db").unwrap();
        let of_parts = MysqlAddress::new("h", 3307, "u", Some("hunter2"), "db");
        for address in [of_a_url, of_parts] {
            assert_eq!(address.to_string(), "mysql://u@h:3307/db");
            assert_eq!(format!("{address:?}"), "MysqlAddress(mysql://u@h:3307/db)");
        }
    }

    #[test]
    fn an_address_names_its_database() {
        for url in ["mysql://h", "mysql://h/", "postgres://h/db", "h/db", ""] {
            assert_eq!(MysqlAddress::from_url(url).unwrap_err(), InvalidMysqlAddress, "{url:?}");
        }
    }
}
