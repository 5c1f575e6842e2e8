//! Finding clients in lines that wait, and taking them out: each stays as long as it was, since others know where the next one begins.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::journal::AttemptRow;
use crate::sinks::event::Placed;

/// Takes client and device out of the rows of a file that are `meant`; how many.
pub(super) fn in_file(path: &Path, meant: &dyn Fn(&AttemptRow) -> bool) -> io::Result<u64> {
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        // All of it has been sent, or somebody has removed it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let (mut lines, mut line, mut at, mut erased) = (BufReader::new(&file), Vec::new(), 0, 0);
    while lines.read_until(b'\n', &mut line)? > 0 {
        if let Some(placed) = line.strip_suffix(b"\n").and_then(Placed::read).filter(|placed| meant(&placed.row)) {
            file.write_all_at(&without_client(placed, line.len()), at)?;
            erased += 1;
        }
        at += line.len() as u64;
        line.clear();
    }
    if erased > 0 {
        file.sync_data()?;
    }
    Ok(erased)
}

/// The rows of a file that are `meant`, without changing it.
pub(super) fn waiting_in(path: &Path, meant: &dyn Fn(&AttemptRow) -> bool) -> io::Result<Vec<AttemptRow>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut rows = Vec::new();
    for line in BufReader::new(file).split(b'\n') {
        rows.extend(Placed::read(&line?).map(|placed| placed.row).filter(|row| meant(row)));
    }
    Ok(rows)
}

/// The line of a row without client and device, with spaces up to `size` octets: a null is no longer than what stood there.
fn without_client(Placed { before, row }: Placed, size: usize) -> Vec<u8> {
    let mut octets = Vec::with_capacity(size);
    Placed { before, row: AttemptRow { client: None, device: None, ..row } }.write(&mut octets);
    octets.pop();
    octets.resize(size.saturating_sub(1), b' ');
    octets.push(b'\n');
    octets
}
