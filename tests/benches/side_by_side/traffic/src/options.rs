//! How a load is to be made.

use std::time::Duration;

/// Options of `udp` and `tcp`.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// How long queries are sent.
    pub(crate) time: Duration,
    /// Queries a second (UDP only); 0 = as many as the window allows.
    pub(crate) rate: u64,
    /// Queries that wait for a response at most; over TCP the number of connections, each with one.
    pub(crate) window: usize,
    /// Number of the first question: where in the file to begin, and what counts up in names never asked before.
    pub(crate) first: u32,
    /// Whether queries have an OPT record.
    pub(crate) edns: bool,
    /// Whether each TCP connection carries one query only.
    pub(crate) once: bool,
}

impl Options {
    /// Reads what stands behind the file of names.
    ///
    /// # Errors
    /// A sentence about the first word that is not understood.
    pub(crate) fn read(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options =
            Self { time: Duration::from_secs(1), rate: 0, window: 256, first: 0, edns: false, once: false };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--edns" => options.edns = true,
                "--once" => options.once = true,
                "--seconds" => {
                    let seconds = number(&word, words.next())?;
                    options.time = Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?;
                }
                "--rate" => options.rate = number(&word, words.next())?,
                "--window" => options.window = number(&word, words.next())?,
                "--first" => options.first = number(&word, words.next())?,
                _ => return Err(format!("unknown option {word}")),
            }
        }
        Ok(options)
    }
}

fn number<N: std::str::FromStr>(option: &str, word: Option<String>) -> Result<N, String> {
    word.and_then(|word| word.parse().ok()).ok_or_else(|| format!("{option} needs a number"))
}
