//! What a push asks for, read from the beginning of its request before git sees any of it
//! (gitprotocol-pack, "Reference Update Request").

use thiserror::Error;

/// The longest list of updates that is read; an outpost's has two.
pub const MAX_BYTES: usize = 64 << 10;

/// The longest name of a ref: no file system takes a longer path.
const LONGEST_NAME: usize = 4096;

/// One update that a push asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefUpdate {
    pub name: String,
    pub deletes: bool,
}

/// All that a push asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commands {
    /// None for the empty request with which git asks whether it may push.
    pub updates: Vec<RefUpdate>,
    /// Whether the client takes the answer in a side band.
    pub side_band: bool,
}

/// A request that is not what a push begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the push makes no sense: {0}")]
pub struct Malformed(&'static str);

/// What the bytes so far say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed {
    /// The list goes on.
    Partial,
    Whole(Commands),
}

/// Reads the list of updates.
///
/// # Errors
/// [`Malformed`], also for signed and shallow pushes, which no outpost sends.
pub fn parse(mut bytes: &[u8]) -> Result<Parsed, Malformed> {
    let mut commands = Commands::default();
    loop {
        let Some((head, rest)) = bytes.split_at_checked(4) else { return Ok(Parsed::Partial) };
        let length = length(head)?;
        if length == 0 {
            return Ok(Parsed::Whole(commands));
        }
        let body = length.checked_sub(4).filter(|body| *body > 0).ok_or(Malformed("a line has no content"))?;
        let Some((line, rest)) = rest.split_at_checked(body) else { return Ok(Parsed::Partial) };
        let first = commands.updates.is_empty();
        if first {
            commands.side_band = line.split(|byte| matches!(byte, 0 | b' ')).any(|word| word == b"side-band-64k");
        }
        commands.updates.push(update(line, first)?);
        bytes = rest;
    }
}

fn length(head: &[u8]) -> Result<usize, Malformed> {
    let digits = std::str::from_utf8(head).ok().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    digits.and_then(|digits| usize::from_str_radix(digits, 16).ok()).ok_or(Malformed("a line has no length"))
}

/// `OLD NEW NAME`, and in the first line what the client is capable of after a NUL.
fn update(line: &[u8], first: bool) -> Result<RefUpdate, Malformed> {
    let command = match line.iter().position(|byte| *byte == 0) {
        Some(end) if first => &line[..end],
        Some(_) => return Err(Malformed("a name holds a NUL")),
        None => line,
    };
    let text = std::str::from_utf8(command).map_err(|_| Malformed("a name is not UTF-8"))?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    let mut words = text.splitn(3, ' ');
    let (Some(old), Some(new), Some(name)) = (words.next(), words.next(), words.next()) else {
        return Err(Malformed("a line is not an update"));
    };
    let is_object = |id: &str| matches!(id.len(), 40 | 64) && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_object(old) || !is_object(new) {
        return Err(Malformed("a line is not an update"));
    }
    if name.len() > LONGEST_NAME
        || name.is_empty()
        || name.chars().any(|char| char.is_control() || char.is_whitespace())
    {
        return Err(Malformed("a name holds what no name may"));
    }
    Ok(RefUpdate { name: name.to_owned(), deletes: new.bytes().all(|byte| byte == b'0') })
}

/// The answer to a push of which nothing is done: git tells its user why, for each ref.
pub fn refusal(commands: &Commands, why: &str) -> Vec<u8> {
    let line = |text: &[u8]| [format!("{:04x}", text.len() + 4).as_bytes(), text].concat();
    let why = why.chars().map(|char| if char.is_control() { ' ' } else { char }).take(400).collect::<String>();
    let mut report = line(b"unpack ok\n");
    for update in &commands.updates {
        report.extend(line(format!("ng {} {why}\n", update.name).as_bytes()));
    }
    report.extend(b"0000");
    if !commands.side_band {
        return report;
    }
    // A side band's lines are of 65,520 bytes at most; half of that is enough for each.
    let mut answer = Vec::new();
    for part in report.chunks(32 << 10) {
        answer.extend(line(&[&[1], part].concat()));
    }
    answer.extend(b"0000");
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "0000000000000000000000000000000000000000";
    const NEW: &str = "1111111111111111111111111111111111111111";

    fn line(text: &str) -> Vec<u8> {
        format!("{:04x}{text}", text.len() + 4).into_bytes()
    }

    #[test]
    fn the_updates_of_a_push_are_read_and_its_pack_is_not() {
        let request = [
            line(&format!("{OLD} {NEW} refs/sprint/work/1/1\0report-status agent=git/2")),
            line(&format!("{NEW} {OLD} refs/heads/main\n")),
            b"0000PACK...".to_vec(),
        ]
        .concat();
        let updates = vec![
            RefUpdate { name: "refs/sprint/work/1/1".to_owned(), deletes: false },
            RefUpdate { name: "refs/heads/main".to_owned(), deletes: true },
        ];
        assert_eq!(parse(&request), Ok(Parsed::Whole(Commands { updates, side_band: false })));
        let list = request.len() - "PACK...".len();
        for end in 0..list {
            assert_eq!(parse(&request[..end]), Ok(Parsed::Partial), "after {end} bytes");
        }
        assert_eq!(parse(b"0000"), Ok(Parsed::Whole(Commands::default())));
    }

    #[test]
    fn a_malformed_list_of_updates_is_refused() {
        for bad in [
            b"zzzz".to_vec(),
            b"0001".to_vec(),
            b"0004".to_vec(),
            b"+0ff".to_vec(),
            line("push-cert\0x"),
            line(&format!("shallow {NEW}")),
            line(&format!("{OLD} {NEW}")),
            line(&format!("{OLD} {NEW} ")),
            line(&format!("{OLD} {NEW} refs/heads/a b")),
            line(&format!("{OLD} {NEW} refs/heads/a\rb")),
            line(&format!("{OLD} xyz refs/heads/a")),
            [line(&format!("{OLD} {NEW} a\0")), line(&format!("{OLD} {NEW} b\0c"))].concat(),
            [&line("")[..], &[0xff]].concat(),
        ] {
            assert!(parse(&bad).is_err(), "{:?} must be refused", String::from_utf8_lossy(&bad));
        }
    }
}

#[cfg(test)]
#[path = "commands_fuzz.rs"]
mod fuzz;
