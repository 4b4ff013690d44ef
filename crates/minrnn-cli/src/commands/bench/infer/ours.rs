//! minrnn-runtime's side.

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use minrnn_runtime::{Input, Model, Options, Output, Session, State};

use super::case::{Case, feeds_back};
use super::contender::{Contender, Label, MINRNN};
use super::data::Data;
use super::subject::File;
use crate::verify::argmax;

/// One file, ready to run.
pub(super) struct Ours {
    form: String,
    data: Rc<Data>,
    runner: Runner,
}

enum Runner {
    Step {
        session: Box<Session>,
        /// Whether the likeliest tokens are the next input.
        feedback: bool,
        ids: Vec<i64>,
        at: usize,
    },
    Sequence {
        model: Box<Model>,
        start: State,
    },
}

impl Ours {
    pub(super) fn new(file: &File, case: Case, data: Rc<Data>) -> Result<Self> {
        let model = Model::open_with(&file.path, &Options::with_threads(case.threads))?;
        let runner = if case.step {
            Runner::Step {
                feedback: feeds_back(model.info()),
                session: Box::new(Session::new(Arc::new(model), case.batch)?),
                ids: first_ids(&data),
                at: 0,
            }
        } else {
            Runner::Sequence {
                start: model.initial_state(case.batch)?,
                model: Box::new(model),
            }
        };
        Ok(Self {
            form: file.form.clone(),
            data,
            runner,
        })
    }
}

fn first_ids(data: &Data) -> Vec<i64> {
    match data.input(0) {
        Input::Tokens { ids, .. } => ids.to_vec(),
        Input::Features { .. } => vec![],
    }
}

fn step(session: &mut Session, input: Input<'_>) -> Result<Output> {
    Ok(match input {
        Input::Tokens { ids, .. } => session.step_tokens(ids)?,
        Input::Features { values, .. } => session.step_features(values)?,
    })
}

impl Contender for Ours {
    fn label(&self) -> Label {
        Label {
            engine: MINRNN,
            form: self.form.clone(),
            io: None,
        }
    }

    fn outcome(&mut self) -> Result<Vec<Vec<f32>>> {
        let data = &self.data;
        match &mut self.runner {
            Runner::Step { session, .. } => {
                session.reset()?;
                let one = |at| step(session, data.input(at)).map(|output| output.values);
                let outputs: Vec<Vec<f32>> = (0..data.calls).map(one).collect::<Result<_>>()?;
                let mut parts = vec![outputs.concat()];
                parts.extend(states(session.state()));
                session.reset()?;
                Ok(parts)
            }
            Runner::Sequence { model, start } => {
                let (output, state) = model.run(data.input(0), start)?;
                let mut parts = vec![output.values];
                parts.extend(states(&state));
                Ok(parts)
            }
        }
    }

    fn run(&mut self, calls: usize) -> Result<f64> {
        let data = &self.data;
        let begin = Instant::now();
        match &mut self.runner {
            Runner::Step {
                session,
                feedback: true,
                ids,
                ..
            } => {
                for _ in 0..calls {
                    let output = session.step_tokens(ids)?;
                    let width = output.values.len() / ids.len();
                    for (id, row) in ids.iter_mut().zip(output.values.chunks_exact(width)) {
                        *id = argmax(row) as i64;
                    }
                }
            }
            Runner::Step { session, at, .. } => {
                for _ in 0..calls {
                    std::hint::black_box(step(session, data.input(*at))?);
                    *at += 1;
                }
            }
            Runner::Sequence { model, start } => {
                for _ in 0..calls {
                    std::hint::black_box(model.run(data.input(0), start)?);
                }
            }
        }
        Ok(begin.elapsed().as_secs_f64())
    }
}

fn states(state: &State) -> impl Iterator<Item = Vec<f32>> + '_ {
    let values = |name| state.get(name).unwrap_or_default().to_vec();
    state.names().map(values)
}

/// Seconds from a file to the first output of a step.
pub(super) fn load(path: &Path, threads: usize, data: &Data) -> Result<f64> {
    let begin = Instant::now();
    let model = Model::open_with(path, &Options::with_threads(threads))?;
    let mut session = Session::new(Arc::new(model), data.batch)?;
    let output = step(&mut session, data.input(0)).context("the first step")?;
    let seconds = begin.elapsed().as_secs_f64();
    std::hint::black_box(output);
    Ok(seconds)
}
