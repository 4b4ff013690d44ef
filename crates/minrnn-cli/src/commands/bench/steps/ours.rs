//! Whole training steps on the CPU in this process: by the tape, and by candle.

use candle_core::{DType, Device, Tensor, Var};
use minrnn_kernels::cross_entropy;
use minrnn_model::graph::{Input, Span};
use minrnn_model::model::Model;
use minrnn_model::params::Params;
use minrnn_model::rng::Rng;
use minrnn_train::TrainError;
use minrnn_train::optim::{AdamWConfig, Kind, Optimizer, Parameter};
use minrnn_train::run::{self, Run, Weights};
use minrnn_train::tape::cpu::{Engine, EngineOptions};
use minrnn_train::tape::{Inputs, Wanted};

pub(super) type Result<T> = std::result::Result<T, TrainError>;

/// What a step trains: the model, and one batch of random numbers.
pub(super) struct Case {
    /// As `torch.py` calls it.
    pub(super) name: &'static str,
    pub(super) model: Model,
    pub(super) batch: usize,
    pub(super) time: usize,
    ids: Vec<u32>,
    features: Vec<f32>,
    targets: Vec<u32>,
}

/// The paper's language model (3 blocks of RMS norm, causal convolution 4, minGRU of expansion 2 and feed-forward 4, width
/// 384, 65 tokens), a classifier of long sequences (the same with 2 blocks of width 64, 8 features, 5 classes), a small Transformer
/// (3 of nanoGPT's blocks of width 192, 6 heads), and the classifier's blocks with Hyena over all steps, which PyTorch has nothing for.
const MODELS: [(&str, [usize; 2], &str); 4] = [
    (
        "language model",
        [8, 256],
        "width = 384\nlayers = 3\n[input]\nvocab = 65\n[head]\nwidth = 65\n",
    ),
    (
        "classifier",
        [16, 1024],
        "width = 64\nlayers = 2\n[input]\nfeatures = 8\n[head]\nwidth = 5\nsteps = 'last'\n",
    ),
    (
        "transformer",
        [8, 256],
        "width = 192\nlayers = 3\nnorm = 'layer'\npositions = 256\ninit = 'gpt2'\n[input]\nvocab = 65\n[head]\nwidth = 65\ntied = true\n",
    ),
    (
        HYENA,
        [16, 1024],
        "width = 64\nlayers = 2\n[input]\nvocab = 16\n[head]\nwidth = 16\n",
    ),
];

/// The name of the model that has rows of ours alone.
pub(super) const HYENA: &str = "hyena";

const BLOCK: &str =
    "[conv]\nkernel = 4\n[cell]\nkind = 'min_gru'\nexpansion = 2.0\n[mlp]\nexpansion = 4.0\n";

const ATTENTION: &str = "[cell]\nkind = 'attention'\nheads = 6\n[mlp]\nexpansion = 4.0\n";

const FILTER: &str = "[cell]\nkind = 'hyena'\nlongest = 1024\n[mlp]\nexpansion = 4.0\n";

impl Case {
    /// All of them.
    pub(super) fn all() -> Result<Vec<Self>> {
        MODELS.into_iter().map(Self::new).collect()
    }

    fn new((name, [batch, time], text): (&'static str, [usize; 2], &str)) -> Result<Self> {
        let block = match name {
            "transformer" => ATTENTION,
            HYENA => FILTER,
            _ => BLOCK,
        };
        let config = toml::from_str(&format!("{text}{block}"));
        let config = config.map_err(|e| TrainError::Config {
            field: "model".into(),
            message: e.to_string(),
        })?;
        let model = Model::from_config(&config)?;
        let mut rng = Rng::named(1, "bench");
        let (graph, steps) = (model.graph(), batch * time);
        let output = graph.node(graph.output().value);
        let rows = if output.span == Span::Step {
            steps
        } else {
            batch
        };
        let mut numbers = |n: usize, below| (0..n).map(|_| rng.below(below) as u32).collect();
        let targets = numbers(rows, output.width);
        let (mut ids, mut features) = (vec![], vec![]);
        match graph.input() {
            Input::Tokens { vocab } => ids = numbers(steps, vocab),
            Input::Features { width } => {
                features = (0..steps * width)
                    .map(|_| rng.range(-1.7, 1.7) as f32)
                    .collect();
            }
        }
        Ok(Self {
            name,
            batch,
            time,
            ids,
            features,
            targets,
            model,
        })
    }

    fn params(&self) -> Params {
        Params::init(self.model.graph(), 0)
    }
}

/// Steps by the tape.
pub(super) struct Tape {
    pub(super) engine: Engine,
    steps: u64,
}

impl Tape {
    pub(super) fn new(case: &Case) -> Result<Self> {
        let options = EngineOptions {
            rule: AdamWConfig::default().rule()?,
            seed: 0,
        };
        Ok(Self {
            engine: Engine::new(case.model.graph(), &case.params(), options)?,
            steps: 0,
        })
    }

    /// The loss of a step.
    pub(super) fn step(&mut self, case: &Case) -> Result<f64> {
        let inputs = Inputs {
            batch: case.batch,
            time: case.time,
            ids: &case.ids,
            features: &case.features,
            wanted: Wanted::Classes(&case.targets),
            weights: None,
            lens: None,
        };
        self.steps += 1;
        let report = self.engine.step(inputs, self.steps - 1, self.steps, 1e-3)?;
        Ok(f64::from(report.loss))
    }
}

/// Steps by candle, with our kernels as its operations.
pub(super) struct Candle {
    weights: Weights,
    optimizer: Optimizer,
    input: Tensor,
    targets: Tensor,
}

impl Candle {
    pub(super) fn new(case: &Case) -> Result<Self> {
        let graph = case.model.graph();
        let weights = Weights::new(graph, &case.params(), DType::F32, &Device::Cpu)?;
        let kinds = Kind::of(graph);
        let parameter = |(i, var): (usize, &Var)| Parameter {
            name: graph.params()[i].name.clone(),
            var: var.clone(),
            kind: kinds[i],
        };
        let parameters = weights.vars().map(parameter).collect();
        let shape = (case.batch, case.time);
        let input = match graph.input() {
            Input::Tokens { .. } => Tensor::from_slice(&case.ids, shape, &Device::Cpu)?,
            Input::Features { width } => {
                Tensor::from_slice(&case.features, (shape.0, shape.1, width), &Device::Cpu)?
            }
        };
        Ok(Self {
            optimizer: Optimizer::new(parameters, AdamWConfig::default().rule()?)?,
            targets: Tensor::from_slice(&case.targets, case.targets.len(), &Device::Cpu)?,
            weights,
            input,
        })
    }

    /// The loss of a step.
    pub(super) fn step(&mut self, case: &Case) -> Result<f64> {
        let graph = case.model.graph();
        let output = run::run(graph, &self.weights, &Run::new(&self.input))?.output;
        let width = graph.width(graph.output().value);
        let logits = output.reshape(((), width))?;
        let loss = cross_entropy(&logits, &self.targets, None)?;
        Ok(self.optimizer.step_of(&loss, 1e-3)?.0)
    }
}
