//! Every key of a configuration: type, default, meaning, example. `docs/configuration.md` and the comments of `minrnn init` are made of
//! this table; tests hold it to the types that read the keys (names, defaults) and the page to it.

mod attention;
mod diagonal;
mod feedback;
mod hyena;
mod model;
mod page;
mod signed;
mod state_space;
mod task;
#[cfg(test)]
mod tests;
mod train;

#[cfg(test)]
pub(crate) use page::filled;

/// The keys of one table of the file.
pub(crate) struct Table {
    /// Its name in the page's marks and for [`meaning`]: `task.text`, `model.cell`.
    pub(crate) name: &'static str,
    pub(crate) keys: &'static [Key],
}

impl Table {
    /// How its keys are written: `task`, `model.cell`.
    #[cfg(test)]
    fn path(&self) -> &'static str {
        let kinds = ["task", "model.cell"];
        let of = |path: &&&str| {
            self.name
                .strip_prefix(**path)
                .is_some_and(|rest| rest.starts_with('.'))
        };
        kinds.iter().find(of).copied().unwrap_or(self.name)
    }
}

pub(crate) struct Key {
    pub(crate) name: &'static str,
    /// In words.
    pub(crate) kind: &'static str,
    pub(crate) default: Default,
    pub(crate) meaning: &'static str,
    /// A value as it is written in TOML.
    pub(crate) example: &'static str,
}

/// What holds where a key is left out.
#[derive(Clone, Copy)]
pub(crate) enum Default {
    /// It may not be left out.
    Needed,
    /// This value, as it is written in TOML.
    Is(&'static str),
    /// What the words say.
    Words(&'static str),
}

/// All of them, in the order of the page.
pub(crate) const TABLES: [&Table; 27] = [
    &task::TEXT,
    &task::SEQUENCES,
    &task::SELECTIVE_COPYING,
    &task::FORMAL_LANGUAGE,
    &model::MODEL,
    &model::CELL,
    &signed::SIGNED,
    &state_space::MAMBA,
    &state_space::MAMBA2,
    &diagonal::S4D,
    &diagonal::H3,
    &diagonal::AAREN,
    &hyena::HYENA,
    &attention::ATTENTION,
    &feedback::GRU,
    &feedback::LSTM,
    &state_space::BLOCK,
    &model::CONV,
    &model::MLP,
    &model::INPUT,
    &model::HEAD,
    &train::TRAIN,
    &train::OPTIMIZER,
    &train::MUON,
    &train::LOSS,
    &train::AVERAGE,
    &train::LOSS_SCALE,
];

/// What a key of a table means.
pub(crate) fn meaning(table: &str, key: &str) -> Option<&'static str> {
    let table = TABLES.iter().find(|t| t.name == table)?;
    Some(table.keys.iter().find(|k| k.name == key)?.meaning)
}
