//! A model that follows a script, as a program: `model PORT SCRIPT`. The script is for prompts that have none.

use sprint_tests::model::Model;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().and_then(|port| port.parse().ok()).expect("a port");
    let script = arguments.next().expect("a script");
    println!("{}", Model::at(port, &script).url());
    loop {
        std::thread::park();
    }
}
