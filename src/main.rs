//! The `embargo` command.

fn main() {
    let a: Vec<String> = std::env::args().collect();
    let args =
        embargo::config::Args { upstream: vec![a[1].clone()], state_dir: Some("/tmp/st".into()), ..Default::default() };
    let mut out = std::io::stdout();
    if let Err(e) = embargo::app::run(&args, &mut out) {
        eprintln!("{e} {e:?}");
    }
}
