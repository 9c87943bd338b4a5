//! Keeps secrets out of what is kept of a worker: its terminal, its reports, its agent's words.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use sprint_core::assignment::ReportBody;
use sprint_core::secret::{LEAST, SecretText};

/// What stands for a text of which nobody can say what is secret in it.
const BLIND: &str = "[hidden: this worker's secrets cannot be read]";

/// Finds the secrets of a worker in what it says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Redactor {
    /// None where there is nothing to hide.
    finder: Option<AhoCorasick>,
    /// What is looked for, and what is put in its place.
    patterns: Vec<(Vec<u8>, String)>,
    /// What is secret is not known: nothing is shown.
    is_blind: bool,
}

impl Redactor {
    /// Of these secrets: each as a whole, each of its lines, and both as JSON has them.
    pub(crate) fn of(secrets: &[SecretText]) -> Self {
        let mut patterns = BTreeMap::new();
        for SecretText { name, form: _, text } in secrets {
            let shown = format!("[secret {name}]");
            // A terminal ends its lines in its own way.
            let on_terminal = text.trim().replace("\r\n", "\n").replace('\n', "\r\n");
            for part in [text.trim(), on_terminal.as_str()].into_iter().chain(text.lines().map(str::trim)) {
                let quoted = serde_json::to_string(part).unwrap_or_default();
                for form in [part, quoted.trim_matches('"')] {
                    if form.len() >= LEAST {
                        patterns.entry(form.as_bytes().to_vec()).or_insert_with(|| shown.clone());
                    }
                }
            }
        }
        let patterns: Vec<_> = patterns.into_iter().collect();
        let finder = (!patterns.is_empty()).then(|| {
            let built = AhoCorasick::builder()
                // The others take megabytes for a long secret.
                .kind(Some(AhoCorasickKind::ContiguousNFA))
                .match_kind(MatchKind::LeftmostLongest)
                .build(patterns.iter().map(|(pattern, _)| pattern));
            built.map_err(|error| tracing::error!(%error, "secrets cannot be looked for")).ok()
        });
        let is_blind = matches!(finder, Some(None));
        Self { finder: finder.flatten(), patterns, is_blind }
    }

    /// Of the secrets that are written down for a worker.
    ///
    /// # Errors
    /// They are there, and cannot be read.
    pub(crate) fn load(file: &Path) -> io::Result<Self> {
        match fs::read(file) {
            Ok(content) => Ok(Self::of(&serde_json::from_slice::<Vec<SecretText>>(&content)?)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// One that hides everything.
    pub(crate) fn blind() -> Self {
        Self { is_blind: true, ..Self::default() }
    }

    /// A text without the secrets in it.
    pub(crate) fn text(&self, text: &mut String) {
        if let Cow::Owned(shown) = self.bytes(text.as_bytes()) {
            *text = String::from_utf8_lossy(&shown).into_owned();
        }
    }

    /// Bytes that are whole without the secrets in them.
    pub(crate) fn bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        match &self.finder {
            _ if self.is_blind => BLIND.as_bytes().to_vec().into(),
            Some(finder) if finder.is_match(bytes) => {
                let mut stream = Stream::new(self);
                let mut shown = stream.pass(bytes);
                shown.extend(stream.end());
                shown.into()
            }
            Some(_) | None => bytes.into(),
        }
    }

    /// A report without the secrets in it.
    pub(crate) fn report(&self, body: &mut ReportBody) {
        body.each_text(&mut |text| self.text(text));
    }
}

/// Hides secrets in bytes that come piece by piece. What may be the beginning of one waits for the next piece.
#[derive(Debug)]
pub(crate) struct Stream<'a> {
    redactor: &'a Redactor,
    held: Vec<u8>,
    /// That nothing is shown was said.
    is_told: bool,
}

impl<'a> Stream<'a> {
    pub(crate) const fn new(redactor: &'a Redactor) -> Self {
        Self { redactor, held: vec![], is_told: false }
    }

    /// The next bytes, as far as they can be told from a secret.
    pub(crate) fn pass(&mut self, bytes: &[u8]) -> Vec<u8> {
        if self.redactor.is_blind {
            let is_first = !std::mem::replace(&mut self.is_told, true);
            return if is_first { BLIND.as_bytes().to_vec() } else { vec![] };
        }
        let Some(finder) = &self.redactor.finder else { return bytes.to_vec() };
        self.held.extend_from_slice(bytes);
        let held = std::mem::take(&mut self.held);
        let wait_from = held.len() - self.beginning(&held);
        let (mut shown, mut at) = (vec![], 0);
        for found in finder.find_iter(&held) {
            if found.start() >= wait_from {
                break;
            }
            shown.extend_from_slice(&held[at..found.start()]);
            shown.extend_from_slice(self.redactor.patterns[found.pattern().as_usize()].1.as_bytes());
            at = found.end();
        }
        let end = wait_from.max(at);
        shown.extend_from_slice(&held[at..end]);
        self.held = held[end..].to_vec();
        shown
    }

    /// What has waited, now that nothing follows.
    pub(crate) fn end(&mut self) -> Vec<u8> {
        let Some(finder) = &self.redactor.finder else { return vec![] };
        let held = std::mem::take(&mut self.held);
        let shown: Vec<&str> = self.redactor.patterns.iter().map(|(_, shown)| shown.as_str()).collect();
        finder.replace_all_bytes(&held, &shown)
    }

    /// How many bytes at the end may be the beginning of a secret.
    fn beginning(&self, bytes: &[u8]) -> usize {
        let of = |(pattern, _): &(Vec<u8>, String)| {
            let most = bytes.len().min(pattern.len() - 1);
            (1..=most).rev().find(|length| bytes.ends_with(&pattern[..*length])).unwrap_or(0)
        };
        self.redactor.patterns.iter().map(of).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sprint_core::secret::{SecretForm, SecretName};

    use super::*;

    fn redactor(texts: &[&str]) -> Redactor {
        let secret = |(number, text): (usize, &&str)| SecretText {
            name: SecretName::new(format!("S{number}")).expect("a name"),
            form: SecretForm::Env,
            text: (*text).to_owned(),
        };
        Redactor::of(&texts.iter().enumerate().map(secret).collect::<Vec<_>>())
    }

    fn passed(redactor: &Redactor, pieces: &[&[u8]]) -> String {
        let mut stream = Stream::new(redactor);
        let mut all: Vec<u8> = pieces.iter().flat_map(|piece| stream.pass(piece)).collect();
        all.extend(stream.end());
        String::from_utf8_lossy(&all).into_owned()
    }

    #[test]
    fn a_secret_is_hidden_however_it_is_cut() {
        let redactor = redactor(&[
            "hunter2hunter2",
            "hunter2hunter2more",
            "-----BEGIN-----\nabcdefghij\n-----END-----\n",
            "a\"quoted\"b",
            "one\ntwo\nsix",
        ]);
        let text = b"x hunter2hunter2 y hunter2hunter2more z abcdefghij\r\n a\\\"quoted\\\"b one\r\ntwo\r\nsix hunter2";
        let hidden = "x [secret S0] y [secret S1] z [secret S2]\r\n [secret S3] [secret S4] hunter2";
        for size in 1..text.len() {
            let pieces: Vec<&[u8]> = text.chunks(size).collect();
            assert_eq!(passed(&redactor, &pieces), hidden, "in pieces of {size}");
        }
        let mut whole = String::from_utf8(text.to_vec()).expect("text");
        redactor.text(&mut whole);
        assert_eq!(whole, hidden);
    }

    #[test]
    fn what_is_no_secret_passes_at_once() {
        let redactor = redactor(&["hunter2hunter2"]);
        let mut stream = Stream::new(&redactor);
        assert_eq!(stream.pass(b"password: "), b"password: ");
        assert_eq!(stream.pass(b"oh"), b"o");
        assert_eq!(stream.pass(b"o"), b"ho");
        assert_eq!(Stream::new(&Redactor::default()).pass(b"any"), b"any");
        let mut said = "a word".to_owned();
        Redactor::blind().text(&mut said);
        assert_eq!(said, BLIND);
        let blind = Redactor::blind();
        assert_eq!(passed(&blind, &[b"one", b"two"]), BLIND);
        assert_eq!(blind.bytes(b"one").as_ref(), BLIND.as_bytes());
    }

    proptest! {
        /// Whatever comes around it in whatever pieces, a secret does not get through, and nothing else is lost.
        #[test]
        fn fuzz_no_secret_gets_through(
            before in "[a-h2]{0,20}", after in "[a-h2]{0,20}", cuts in prop::collection::vec(1_usize..20, 1..20)
        ) {
            let redactor = redactor(&["abcabcabd", "cabdefgh2"]);
            let text = format!("{before}abcabcabd{after}");
            let mut rest = text.as_bytes();
            let mut pieces = vec![];
            for cut in cuts {
                let (piece, more) = rest.split_at(cut.min(rest.len()));
                pieces.push(piece);
                rest = more;
            }
            pieces.push(rest);
            let shown = passed(&redactor, &pieces);
            prop_assert!(!shown.contains("abcabcabd") && !shown.contains("cabdefgh2"), "{}", shown);
            prop_assert_eq!(&shown, &passed(&redactor, &[text.as_bytes()]));
        }
    }
}
