//! The strict writer: lines in the order of RFC 8866 section 5, each ended by CRLF.

use std::fmt;

use super::session::{Attribute, Line, SessionDescription};

impl fmt::Display for SessionDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = &self.origin;
        f.write_str("v=0\r\n")?;
        write!(f, "o={} {} ", origin.username, origin.session_id)?;
        write!(f, "{} {}\r\n", origin.session_version, origin.address)?;
        write!(f, "s={}\r\n", self.session_name)?;
        write_lines(f, &self.other, &['i', 'u', 'e', 'p'])?;
        write_connections(f, self.connection.as_ref(), &self.further_connections)?;
        write_lines(f, &self.other, &['b'])?;
        for time in &self.times {
            write!(f, "t={time}\r\n")?;
        }
        write_lines(f, &self.other, &['r', 'z', 'k'])?;
        write_attributes(f, &self.attributes)?;
        for media in &self.media {
            write!(
                f,
                "m={} {} {}",
                media.media_type, media.port, media.protocol
            )?;
            for format in &media.formats {
                write!(f, " {format}")?;
            }
            f.write_str("\r\n")?;
            write_lines(f, &media.other, &['i'])?;
            write_connections(f, media.connection.as_ref(), &media.further_connections)?;
            write_lines(f, &media.other, &['b', 'k'])?;
            write_attributes(f, &media.attributes)?;
        }
        Ok(())
    }
}

fn write_lines(f: &mut fmt::Formatter<'_>, lines: &[Line], order: &[char]) -> fmt::Result {
    for kind in order {
        for line in lines.iter().filter(|line| line.kind == *kind) {
            write!(f, "{}={}\r\n", line.kind, line.value)?;
        }
    }
    Ok(())
}

fn write_connections(
    f: &mut fmt::Formatter<'_>,
    first: Option<&String>,
    further: &[String],
) -> fmt::Result {
    for value in first.into_iter().chain(further) {
        write!(f, "c={value}\r\n")?;
    }
    Ok(())
}

fn write_attributes(f: &mut fmt::Formatter<'_>, attributes: &[Attribute]) -> fmt::Result {
    for attribute in attributes {
        match &attribute.value {
            Some(value) => write!(f, "a={}:{value}\r\n", attribute.name)?,
            None => write!(f, "a={}\r\n", attribute.name)?,
        }
    }
    Ok(())
}
