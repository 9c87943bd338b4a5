//! What a tmux control-mode client reads, line by line; no I/O.

/// One message of tmux.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Message {
    /// A command of ours ended well, with its output.
    Done(String),
    /// A command of ours failed, with tmux's reason.
    Failed(String),
    /// Sessions came or went.
    SessionsChanged,
    /// The server ended the connection, and does so with every one while it waits for its own end.
    ServerEnded,
}

/// An answer that is being read.
#[derive(Debug)]
struct Block {
    /// Time, number and flags; the line that ends the block repeats them.
    tag: String,
    /// Flag 1: an answer to a command that came over this connection.
    ours: bool,
    output: String,
}

/// Reads lines into what they mean.
#[derive(Debug, Default)]
pub(super) struct Parser {
    block: Option<Block>,
}

impl Parser {
    /// Takes a line without its end.
    pub(super) fn line(&mut self, line: &str) -> Option<Message> {
        let Some(mut block) = self.block.take() else {
            if let Some(tag) = line.strip_prefix("%begin ") {
                let ours = tag.rsplit(' ').next() == Some("1");
                self.block = Some(Block { tag: tag.to_owned(), ours, output: String::new() });
            } else if line.starts_with("%sessions-changed") {
                return Some(Message::SessionsChanged);
            } else if line.starts_with("%exit server exited") {
                return Some(Message::ServerEnded);
            }
            return None;
        };
        // An answer's own lines may begin with a percent sign: pane ids do.
        let ends = |word: &str| line.strip_prefix(word) == Some(block.tag.as_str());
        if ends("%end ") {
            return block.ours.then_some(Message::Done(block.output));
        }
        if ends("%error ") {
            return block.ours.then_some(Message::Failed(block.output));
        }
        if !block.output.is_empty() {
            block.output.push('\n');
        }
        block.output.push_str(line);
        self.block = Some(block);
        None
    }
}

/// Quotes an argument for tmux's command line.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Guards a text against tmux's formats.
pub(super) fn unformatted(text: &str) -> String {
    text.replace('#', "##")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sprint_core::fuzz::texts;

    use super::*;

    fn read(text: &str) -> Vec<Message> {
        let mut parser = Parser::default();
        text.lines().filter_map(|line| parser.line(line)).collect()
    }

    #[test]
    fn answers_are_told_from_notifications_and_from_the_first_command() {
        let said = read(
            "%begin 1 261 0\n%end 1 261 0\n%window-add @0\n%sessions-changed\n\
             %begin 1 267 1\n%1\n%end 1 267 1\n%begin 2 9 1\nduplicate session: w1\n%error 2 9 1\n%exit\n",
        );
        assert_eq!(
            said,
            [
                Message::SessionsChanged,
                Message::Done("%1".to_owned()),
                Message::Failed("duplicate session: w1".to_owned())
            ]
        );
    }

    #[test]
    fn a_server_that_ends_is_told_from_other_reasons_to_exit() {
        assert_eq!(read("%exit server exited unexpectedly\n"), [Message::ServerEnded]);
        assert_eq!(read("%exit\n%exit detached (from session control)\n"), []);
        assert_eq!(
            read("%begin 1 2 1\n%exit server exited\n%end 1 2 1\n"),
            [Message::Done("%exit server exited".to_owned())]
        );
    }

    #[test]
    fn an_answer_that_looks_like_another_end_is_output() {
        let said = read("%begin 1 2 1\n%end 1 3 1\n%begin 4 4 1\n%end 1 2 1\n");
        assert_eq!(said, [Message::Done("%end 1 3 1\n%begin 4 4 1".to_owned())]);
    }

    #[test]
    fn quotes_inside_an_argument_are_kept() {
        assert_eq!(quoted("it's; a $HOME"), r"'it'\''s; a $HOME'");
        assert_eq!(unformatted("a#{b}%H"), "a##{b}%H");
    }

    /// What tmux makes of a word in single quotes and with escaped ones between.
    fn unquoted(text: &str) -> Option<String> {
        let inner = text.strip_prefix('\'')?.strip_suffix('\'')?;
        let parts = inner.split("'\\''").collect::<Vec<_>>();
        parts.iter().all(|part| !part.contains('\'')).then(|| parts.join("'"))
    }

    proptest! {
        /// Whatever tmux says, an answer to a command of ours is what stands between its begin and its own end.
        #[test]
        fn fuzz_any_lines_of_tmux_are_read(
            text in texts(&["%begin 1 2 1\n%1\n%end 1 2 1\n%sessions-changed\n%begin 3 4 0\n%error 3 4 0\n"])
        ) {
            let is_answer = |said: &Message| matches!(said, Message::Done(_) | Message::Failed(_));
            let answers = read(&text).iter().filter(|said| is_answer(said)).count();
            let begun = text.lines().filter(|line| line.starts_with("%begin ") && line.ends_with('1')).count();
            prop_assert!(answers <= begun);
            for said in read(&text) {
                if let Message::Done(output) | Message::Failed(output) = said {
                    prop_assert!(text.contains(&output) || text.replace("\r\n", "\n").contains(&output));
                }
            }
        }

        /// A quoted argument is one word, whatever is in it, and no format.
        #[test]
        fn fuzz_a_quoted_argument_is_one_word(text in texts(&["it's; a $HOME", "#{pane_id} #(id)"])) {
            prop_assert_eq!(unquoted(&quoted(&text)), Some(text.clone()));
            prop_assert!(!unformatted(&text).replace("##", "").contains('#'));
        }
    }
}
