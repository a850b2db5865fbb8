//! What `/realtime/v1` allows.

/// Limits of realtime. Each is one number of `realtime_limits`; what is not named keeps its default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections of this server.
    pub connections: usize,
    /// Channels of a connection.
    pub channels: usize,
    /// Joins of a connection in a second.
    pub joins: u32,
    /// Broadcasts and presence messages of a connection in a second.
    pub events: u32,
    /// Bytes of a payload.
    pub payload: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 10_000,
            channels: 100,
            joins: 100,
            events: 100,
            payload: 256 * 1024,
        }
    }
}

/// Reads `name=number,...`.
///
/// # Errors
/// A sentence that completes "expected ...".
pub(super) fn limits(text: &str) -> Result<Limits, String> {
    let wrong =
        || "numbers above 0, such as connections=10000,channels=100,joins=100,events=100,payload=262144".to_owned();
    let mut limits = Limits::default();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (name, number) = part.split_once('=').ok_or_else(wrong)?;
        let number: u32 = number.trim().parse().map_err(|_| wrong())?;
        let size = usize::try_from(number).map_err(|_| wrong())?;
        if number == 0 {
            return Err(wrong());
        }
        match name.trim() {
            "connections" => limits.connections = size,
            "channels" => limits.channels = size,
            "joins" => limits.joins = number,
            "events" => limits.events = number,
            "payload" => limits.payload = size,
            _ => return Err(wrong()),
        }
    }
    Ok(limits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read() {
        let read = limits("channels=5, payload=10").unwrap();
        assert_eq!((read.channels, read.payload, read.events), (5, 10, 100));
        for wrong in ["channels", "channels=0", "channels=x", "chairs=3", "events=-1"] {
            assert!(limits(wrong).is_err(), "{wrong}");
        }
    }
}
