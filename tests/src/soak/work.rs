//! The load of a soak: items of several kinds, whose every byte of output is known beforehand.

use std::fmt::Write as _;

/// How an item goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    /// Leaves its changes uncommitted in its first round, and is sent back.
    SentBack,
    /// Exits with 7 in its first attempt.
    FailsOnce,
}

/// An item of the soak.
#[derive(Debug, Clone, Copy)]
pub(super) struct Planned {
    number: usize,
    kind: Kind,
    lines: usize,
    tenths: u32,
}

impl Planned {
    pub(super) fn new(number: usize, random: &mut fastrand::Rng) -> Self {
        let kind = match random.u32(..8) {
            0 => Kind::SentBack,
            1 => Kind::FailsOnce,
            _ => Kind::Plain,
        };
        Self { number, kind, lines: random.usize(..400), tenths: random.u32(..30) }
    }

    pub(super) fn title(self) -> String {
        format!("Soak {}", self.number)
    }

    /// The file that it adds, and what is in it.
    pub(super) fn file(self) -> (String, String) {
        (format!("items/{}.txt", self.number), format!("item {}\n", self.number))
    }

    pub(super) fn run(self) -> String {
        let (file, content) = self.file();
        let body = format!(
            "echo attempt $SPRINT_ATTEMPT of $SPRINT_ITEM; seq -f 'line %g of {}' 1 {}; sleep {}.{}; \
             mkdir -p items; echo '{}' > {file}; ",
            self.number,
            self.lines,
            self.tenths / 10,
            self.tenths % 10,
            content.trim_end(),
        );
        let twist = match self.kind {
            Kind::Plain => "",
            Kind::SentBack => {
                "if ! test -e $SPRINT_ARTIFACTS/left; then : > $SPRINT_ARTIFACTS/left; echo left; exit 0; fi; "
            }
            Kind::FailsOnce => "if test $SPRINT_ATTEMPT = 1; then echo failing; exit 7; fi; ",
        };
        format!("{body}{twist}git add -A && git commit -qm 'Soak {}' && echo end", self.number)
    }

    /// What its terminal shows in an attempt that comes to its end.
    pub(super) fn output(self, item: u64, attempt: u64) -> String {
        let mut body = format!("attempt {attempt} of {item}\r\n");
        for line in 1..=self.lines {
            write!(body, "line {line} of {}\r\n", self.number).expect("a string can be written");
        }
        match self.kind {
            Kind::SentBack => format!("{body}left\r\n{body}end\r\n"),
            Kind::FailsOnce if attempt == 1 => format!("{body}failing\r\n"),
            Kind::Plain | Kind::FailsOnce => format!("{body}end\r\n"),
        }
    }
}
