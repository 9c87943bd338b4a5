//! XML from untrusted sources, element by element: bounded in depth and width, without entities of its own.

use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};

use crate::unreadable::Unreadable;

/// The deepest nesting that is read; real reports need less than ten.
const MAX_DEPTH: usize = 100;
/// The most attributes that an element may have.
const MAX_ATTRIBUTES: usize = 100;

/// An element that begins.
#[derive(Debug)]
pub(crate) struct Element {
    attributes: Vec<(String, String)>,
}

impl Element {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// The receiver of the elements; `path` names them from the root to the present one.
pub(crate) trait Handler {
    /// The name of the format, for messages.
    const FORM: &'static str;
    /// The names that its root may have.
    const ROOTS: &'static [&'static str];

    fn open(&mut self, path: &[String], element: &Element) -> Result<(), Unreadable>;

    fn text(&mut self, path: &[String], text: &str) {
        let _ = (path, text);
    }

    fn close(&mut self, path: &[String]) {
        let _ = path;
    }
}

/// Reads a whole document.
///
/// # Errors
/// [`Unreadable`].
pub(crate) fn read<H: Handler>(text: &str, handler: &mut H) -> Result<(), Unreadable> {
    let malformed = |why: String| Unreadable::Malformed { form: H::FORM, why };
    let mut reader = Reader::from_str(text);
    let mut path: Vec<String> = Vec::new();
    let mut seen = false;
    loop {
        let event = reader.read_event().map_err(|error| {
            // What is begun and has no end.
            let is_cut = matches!(error, quick_xml::Error::Syntax(_));
            if is_cut { Unreadable::Truncated } else { malformed(error.to_string()) }
        })?;
        match event {
            Event::Start(start) => {
                begin::<H>(&start, &mut path, &mut seen, handler)?;
            }
            Event::Empty(start) => {
                begin::<H>(&start, &mut path, &mut seen, handler)?;
                handler.close(&path);
                path.pop();
            }
            Event::End(_) => {
                handler.close(&path);
                path.pop();
            }
            Event::Text(text) if path.is_empty() && !text.trim().is_empty() => {
                return Err(malformed("there is text outside of its root".to_owned()));
            }
            Event::Text(text) => handler.text(&path, &text),
            Event::CData(text) => handler.text(&path, &text),
            Event::GeneralRef(reference) => {
                let character = reference.resolve_char_ref().map_err(|error| malformed(error.to_string()))?;
                match (character, resolve_predefined_entity(&reference)) {
                    (Some(character), _) => handler.text(&path, character.encode_utf8(&mut [0; 4])),
                    (None, Some(text)) => handler.text(&path, text),
                    (None, None) => return Err(malformed(format!("it uses an unknown entity &{};", &*reference))),
                }
            }
            // Naming the format's own definition is usual; bringing definitions is not.
            Event::DocType(definition) if definition.contains('[') => return Err(Unreadable::Entities),
            Event::DocType(_) | Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::Eof if !path.is_empty() => return Err(Unreadable::Truncated),
            Event::Eof if !seen => return Err(malformed("it has no element".to_owned())),
            Event::Eof => return Ok(()),
        }
    }
}

fn begin<H: Handler>(
    start: &BytesStart<'_>,
    path: &mut Vec<String>,
    seen: &mut bool,
    handler: &mut H,
) -> Result<(), Unreadable> {
    let name = start.local_name().into_inner();
    if path.is_empty() {
        if *seen {
            return Err(Unreadable::Malformed { form: H::FORM, why: "it has two roots".to_owned() });
        }
        if !H::ROOTS.contains(&name) {
            return Err(Unreadable::OtherRoot { form: H::FORM, root: sprint_core::gates::plain(name, 50) });
        }
        *seen = true;
    }
    if path.len() >= MAX_DEPTH {
        return Err(Unreadable::TooDeep(MAX_DEPTH));
    }
    let malformed = |why: String| Unreadable::Malformed { form: H::FORM, why };
    let mut attributes = Vec::new();
    // Looking for repeated names takes a time that grows with the square of their number.
    for attribute in start.attributes().with_checks(false) {
        if attributes.len() >= MAX_ATTRIBUTES {
            return Err(Unreadable::TooWide(MAX_ATTRIBUTES));
        }
        let attribute = attribute.map_err(|error| malformed(error.to_string()))?;
        let value =
            attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|error| malformed(error.to_string()))?;
        attributes.push((attribute.key.local_name().into_inner().to_owned(), value.into_owned()));
    }
    path.push(name.to_owned());
    handler.open(path, &Element { attributes })
}

/// A number in an attribute, if it is there.
///
/// # Errors
/// [`Unreadable::Malformed`] when it is no number.
pub(crate) fn number<H: Handler>(element: &Element, name: &str) -> Result<Option<u64>, Unreadable> {
    element.get(name).map(|text| parse::<H>(name, text)).transpose()
}

/// A number.
///
/// # Errors
/// [`Unreadable::Malformed`] when it is none.
pub(crate) fn parse<H: Handler>(name: &str, text: &str) -> Result<u64, Unreadable> {
    text.trim().parse().map_err(|_| Unreadable::Malformed {
        form: H::FORM,
        why: format!("{name}=\"{}\" is not a number", sprint_core::gates::plain(text, 30)),
    })
}
