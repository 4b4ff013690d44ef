//! Serves many streams over one model by continuous batching: whoever waits is stepped together with the others, whatever step
//! each is at, and gets the bits that it would get alone.
//!
//! `cargo run --release -p minrnn-runtime --example serve -- [MODEL.step.onnx [CLIENTS]]`

use std::error::Error;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use minrnn_runtime::{InputSpec, Model, Session};

/// At most so many streams in one step: the others wait.
const MOST: usize = 64;

/// A stream of tokens, and where its last logits go.
pub(crate) struct Request {
    pub(crate) ids: Vec<i64>,
    pub(crate) answer: Sender<Result<Vec<f32>, String>>,
}

/// A request under way.
struct Stream {
    session: Session,
    request: Request,
    at: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let file = args
        .first()
        .map_or("models/copy-min-gru/export/model.step.onnx", String::as_str);
    let clients: usize = args.get(1).map_or(Ok(200), |n| n.parse())?;
    let model = Arc::new(Model::open(Path::new(file))?);
    let InputSpec::Tokens { vocab } = model.info().input else {
        return Err("the model takes features, not tokens".into());
    };
    let vocab = vocab.unwrap_or(2);
    let (send, requests) = channel();
    let server = thread::spawn(move || serve(&model, &requests));
    let mut answers = vec![];
    for client in 0..clients {
        let (answer, receive) = channel();
        let len = 20 + client % 37;
        let ids = (0..len).map(|t| ((client * 7 + t * 3) % vocab) as i64);
        let ids = ids.collect();
        send.send(Request { ids, answer })?;
        answers.push(receive);
    }
    drop(send);
    let mut out = io::stdout().lock();
    for (client, answer) in answers.into_iter().enumerate() {
        let logits = answer.recv()??;
        let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        writeln!(out, "client {client}: {:?}", best.map(|b| b.0))?;
    }
    let steps = server.join().map_err(|_| "the server panicked")?;
    writeln!(out, "{clients} streams in {steps} steps of the model")?;
    Ok(())
}

/// Until all senders are gone and all streams are at their end. How many steps that took.
pub(crate) fn serve(model: &Arc<Model>, requests: &Receiver<Request>) -> usize {
    let mut streams: Vec<Stream> = vec![];
    let mut logits = vec![];
    let mut steps = 0;
    loop {
        // Waits only where there is nothing to do.
        if streams.is_empty() {
            let Ok(request) = requests.recv() else {
                return steps;
            };
            begin(model, request, &mut streams);
        }
        while streams.len() < MOST {
            let Ok(request) = requests.try_recv() else {
                break;
            };
            begin(model, request, &mut streams);
        }
        if !streams.is_empty() {
            step(&mut streams, &mut logits);
            steps += 1;
        }
    }
}

/// Refuses here what would stop the others in the common step.
fn begin(model: &Arc<Model>, request: Request, streams: &mut Vec<Stream>) {
    let vocab = match model.info().input {
        InputSpec::Tokens { vocab } => vocab.map_or(i64::MAX, |v| v as i64),
        InputSpec::Features { .. } => 0,
    };
    let known = request.ids.iter().all(|id| (0..vocab).contains(id));
    let session = match known && !request.ids.is_empty() {
        true => Session::new(model.clone(), 1).map_err(|e| e.to_string()),
        false => Err("ids are missing, or outside the vocabulary".into()),
    };
    match session {
        Ok(session) => streams.push(Stream {
            session,
            request,
            at: 0,
        }),
        // A client that has gone needs no answer.
        Err(why) => drop(request.answer.send(Err(why))),
    }
}

fn step(streams: &mut Vec<Stream>, logits: &mut Vec<f32>) {
    let ids: Vec<i64> = streams.iter().map(|s| s.request.ids[s.at]).collect();
    let width = streams[0].session.model().info().output.width;
    logits.resize(ids.len() * width, 0.0);
    let mut sessions: Vec<&mut Session> = streams.iter_mut().map(|s| &mut s.session).collect();
    let stepped = Session::step_tokens_together(&mut sessions, &ids, logits);
    let refused = match stepped {
        Ok(refused) => refused,
        Err(why) => {
            for stream in streams.drain(..) {
                drop(stream.request.answer.send(Err(why.to_string())));
            }
            return;
        }
    };
    let mut place = 0;
    streams.retain_mut(|stream| {
        let own = logits[place * width..(place + 1) * width].to_vec();
        let stopped = refused.contains(&place);
        place += 1;
        stream.at += 1;
        if stopped {
            let why = "the state is not finite".to_owned();
            drop(stream.request.answer.send(Err(why)));
            return false;
        }
        let ended = stream.at == stream.request.ids.len();
        if ended {
            drop(stream.request.answer.send(Ok(own)));
        }
        !ended
    });
}
