//! A server played by a test, that asks a real agent for what it must not give.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use serde_json::json;

use crate::laptop::Laptop;
use crate::system;
use crate::talk::{ACK, Heard, NAK, PREP, REP, REQ, Talk, Tokens, packet};
use crate::world::World;

const MINUTE: Duration = Duration::from_secs(60);

/// A server played by a test, for one laptop.
#[derive(Debug)]
pub struct Server {
    socket: UnixListener,
    host: String,
    config: String,
}

impl Server {
    /// Takes the shim's place behind this laptop's key.
    ///
    /// # Panics
    /// When the key has no forced command.
    pub fn instead_of_the_shim(world: &World, laptop: &Laptop) -> Self {
        let path = world.dir.join(format!("plug-{}", world.hosts.iter().position(|host| host.name == laptop.host).expect("a host")));
        let socket = UnixListener::bind(&path).expect("a world of our own");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).expect("our own");
        let keys = world.dir.join("sshd").join(format!("keys-{}", system::LOGIN));
        let text = std::fs::read_to_string(&keys).expect("it has keys");
        let forced = world.forced_command(&laptop.host);
        assert!(text.contains(&forced), "{forced:?} is not there");
        let plug = format!("exec {} {}", world.program("aa-plug").display(), path.display());
        system::file(&keys, &text.replace(&forced, &plug), "root", "root", 0o644);
        Self { socket, host: laptop.host.clone(), config: world.name.clone() }
    }

    /// Takes a laptop's call and says what a shim says until the laptop has triggered and serves.
    #[track_caller]
    pub fn take(&self, heartbeats: bool) -> Talk {
        let (socket, _) = self.socket.accept().expect("our own socket");
        let mut talk = Talk::over(socket.try_clone().expect("a descriptor"), socket, heartbeats);
        talk.hear("hello", MINUTE);
        talk.say(&json!({"say": "hello", "version": 1, "program": "a test", "host": self.host, "config": self.config}));
        let (mut serves, mut triggered) = (false, false);
        while !(serves && triggered) {
            match talk.next(MINUTE) {
                Some(Heard::Control(message)) if message["say"] == "query" => {
                    talk.say(&json!({"say": "standing"}));
                    talk.say(&json!({"say": "end"}));
                }
                Some(Heard::Control(message)) if message["say"] == "serve" => serves = true,
                Some(Heard::Control(message)) if message["say"] == "trigger" => triggered = true,
                Some(other) => panic!("a laptop that was not asked says {other:?}"),
                None => panic!("it hung up before it served and triggered (serves: {serves}, triggered: {triggered})"),
            }
        }
        talk.say(&json!({"say": "queued", "ticket": "a-ticket", "joined": false, "position": 0}));
        talk
    }
}

/// What a laptop answers to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A REP.
    Rep(String),
    /// A NAK.
    Nak(String),
    /// The stream was closed without a word.
    Closed,
    /// The whole session ended.
    HungUp,
}

/// Opens a stream, asks one thing and returns the answer; the stream is closed by both then.
#[track_caller]
pub fn ask(talk: &mut Talk, stream: u8, body: &str) -> Answer {
    talk.say(&json!({"say": "open", "stream": stream}));
    talk.data(stream, &packet(7, REQ, body));
    let mut tokens = Tokens::default();
    let mut answer = None;
    loop {
        match talk.next(MINUTE) {
            Some(Heard::Data(from, bytes)) if from == stream => {
                for (handle, payload) in tokens.feed(&bytes) {
                    let Some((kind, text)) = payload.split_first().filter(|_| handle == 7) else { continue };
                    let text = String::from_utf8_lossy(text).trim_end_matches('\0').to_owned();
                    match *kind {
                        REP => answer = Some(Answer::Rep(text)),
                        NAK => answer = Some(Answer::Nak(text)),
                        ACK | PREP => {}
                        other => panic!("a packet of kind {other}: {text:?}"),
                    }
                    if answer.is_some() {
                        // Not acknowledged: nothing of a dump begins.
                        talk.say(&json!({"say": "close", "stream": stream}));
                    }
                }
            }
            Some(Heard::Control(message)) if message["say"] == "close" && message["stream"] == stream => {
                if answer.is_none() {
                    talk.say(&json!({"say": "close", "stream": stream}));
                }
                return answer.unwrap_or(Answer::Closed);
            }
            Some(_) => {}
            None => return Answer::HungUp,
        }
    }
}
